/* SPDX-License-Identifier: GPL-2.0-only */
/* Host stand-in: memcmp and its like. */
#ifndef _UNIT_SHIM_STRING_H
#define _UNIT_SHIM_STRING_H

#include <string.h>

#endif /* _UNIT_SHIM_STRING_H */
