// SPDX-License-Identifier: GPL-2.0-only
/*
 * Long-term pins: whose DRAM it is when mm moves a lent page there.
 */

/**
 * DOC: long-term pins
 *
 * Device memory can't be pinned for long (io_uring's fixed buffers, RDMA, VFIO): mm
 * moves such a page to DRAM first. The new page is charged to whom the old one was: for
 * a lent page that is nobody. So pmem_tier has this do it in its place, as for a
 * drain: charged to the cgroup, or not at all.
 */

#include "pmemswap.h"

/**
 * ps_long_pin() - move a lent page that is to be pinned for long
 * @tier: its tier
 * @index: the page, which may be something else by now
 *
 * Context: process context, may sleep; the device stays.
 * Return: 0 when it isn't lent any more; -EBUSY when somebody holds it, -ENOMEM without room, -EIO
 * when it can't be read.
 */
int ps_long_pin(struct pmem_tier *tier, unsigned long index)
{
	return ps_drain_page(tier->priv[PMEM_TIER_SWAP],
			     tier->first_pfn + index);
}
