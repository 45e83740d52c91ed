/* SPDX-License-Identifier: GPL-2.0-only */
/* Host stand-in: vzalloc_node. */
#ifndef _UNIT_SHIM_VMALLOC_H
#define _UNIT_SHIM_VMALLOC_H

#include <linux/types.h>
#include <shim.h>

static inline void *vzalloc_node(unsigned long bytes, int nid)
{
	(void)nid;
	return shim_zalloc(SHIM_VMALLOC, bytes);
}

static inline void vfree(const void *p)
{
	shim_free(SHIM_VMALLOC, p);
}

#endif /* _UNIT_SHIM_VMALLOC_H */
