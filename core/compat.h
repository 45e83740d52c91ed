/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Differences between kernel series, and kernel interfaces that are exported
 * without a public header. Version tests live here and nowhere else.
 */
#ifndef _PMEM_TIER_COMPAT_H
#define _PMEM_TIER_COMPAT_H

#include <linux/badblocks.h>
#include <linux/nd.h>
#include <linux/range.h>
#include <linux/version.h>

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 12, 0)
#error "pmemswap needs Linux 6.12 or newer"
#endif

/*
 * Exported by libnvdimm for its own drivers (drivers/nvdimm/nd.h), unchanged
 * since 4.12 and 4.14 respectively.
 */
struct nd_namespace_common *nvdimm_namespace_common_probe(struct device *dev);
void nvdimm_badblocks_populate(struct nd_region *nd_region,
			       struct badblocks *bb, const struct range *range);

#endif /* _PMEM_TIER_COMPAT_H */
