/* SPDX-License-Identifier: GPL-2.0-only */
/* Host stand-in: snprintf. */
#ifndef _UNIT_SHIM_SPRINTF_H
#define _UNIT_SHIM_SPRINTF_H

#include <stdio.h>

#endif /* _UNIT_SHIM_SPRINTF_H */
