/* SPDX-License-Identifier: GPL-2.0-only */
/* Host stand-in: the size of a page. */
#ifndef _UNIT_SHIM_MM_H
#define _UNIT_SHIM_MM_H

#define PAGE_SHIFT	12
#define PAGE_SIZE	4096UL
#define PAGE_ALIGN(x)	(((x) + PAGE_SIZE - 1) & ~(PAGE_SIZE - 1))

#include <linux/slab.h>
#include <linux/types.h>

#endif /* _UNIT_SHIM_MM_H */
