/* SPDX-License-Identifier: GPL-2.0-only */
/* Host stand-in: kvcalloc_node. */
#ifndef _UNIT_SHIM_SLAB_H
#define _UNIT_SHIM_SLAB_H

#include <linux/types.h>
#include <shim.h>

#define GFP_KERNEL	0

static inline void *kvcalloc_node(size_t n, size_t size, int gfp, int nid)
{
	size_t bytes;

	(void)gfp;
	(void)nid;
	return __builtin_mul_overflow(n, size, &bytes) ? NULL :
	       shim_zalloc(SHIM_KMALLOC, bytes);
}

static inline void kvfree(const void *p)
{
	shim_free(SHIM_KMALLOC | SHIM_VMALLOC, p);
}

#endif /* _UNIT_SHIM_SLAB_H */
