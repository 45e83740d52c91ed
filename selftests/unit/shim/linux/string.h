/* SPDX-License-Identifier: GPL-2.0-only */
/* Host stand-in: memcmp and its like, and copies past the caches. */
#ifndef _UNIT_SHIM_STRING_H
#define _UNIT_SHIM_STRING_H

#include <string.h>

#define memcpy_flushcache	memcpy

#endif /* _UNIT_SHIM_STRING_H */
