/* SPDX-License-Identifier: GPL-2.0-only */
/* Host stand-in: what bitops.h has. */
#ifndef _UNIT_SHIM_BITMAP_H
#define _UNIT_SHIM_BITMAP_H

#include <linux/bitops.h>

#endif /* _UNIT_SHIM_BITMAP_H */
