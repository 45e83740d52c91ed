// SPDX-License-Identifier: GPL-2.0-only
/*
 * Is there room in DRAM for a page of pmem, and whose would it be?
 */

#include <linux/memcontrol.h>
#include <linux/mm.h>
#include <linux/mmzone.h>
#include <linux/module.h>
#include <linux/sizes.h>
#include <linux/swap.h>
#include <pmem_tier/dram.h>

/* DRAM is free anyway when more than one part in this is, beyond what kswapd is for. */
#define SPARE_PART	64

/* What even those who were told to leave of DRAM: else the next one's fault would kill somebody. */
#define LEAVE_PART	32
#define LEAVE_PAGES	(SZ_128M >> PAGE_SHIFT)

/* What background work leaves of a cgroup's memory.max, or memory.high. */
#define ROOM_PART	8

/**
 * pmem_tier_spare_dram() - pages of DRAM that nobody would miss for a while
 *
 * Context: any.
 * Return: the number; negative when kswapd will soon have to make room as it is.
 */
long pmem_tier_spare_dram(void)
{
	long spare = 0;
	int nid, i;

	for_each_node_state(nid, N_MEMORY) {
		for (i = 0; i < MAX_NR_ZONES; i++) {
			struct zone *zone = NODE_DATA(nid)->node_zones + i;

			if (!managed_zone(zone))
				continue;
			spare += zone_page_state(zone, NR_FREE_PAGES);
			/* An estimate: reclaim changes it now and then. */
			spare -= data_race(high_wmark_pages(zone));
			spare -= zone_managed_pages(zone) / SPARE_PART;
		}
	}
	return spare;
}
EXPORT_SYMBOL_GPL(pmem_tier_spare_dram);

/**
 * pmem_tier_short_of_dram() - would it kill somebody to take much more of it?
 *
 * Context: any.
 * Return: true when neither free memory, nor what can be dropped, nor swap is left for
 * others.
 */
bool pmem_tier_short_of_dram(void)
{
	return si_mem_available() + get_nr_swap_pages() <
	       (long)min(totalram_pages() / LEAVE_PART, LEAVE_PAGES);
}
EXPORT_SYMBOL_GPL(pmem_tier_short_of_dram);

/**
 * pmem_tier_memcg_get() - who is charged for a cgroup that may be on its way out
 * @memcg: the cgroup, or NULL; the caller has a reference or is under RCU
 *
 * What a removed cgroup leaves behind counts for its parent, as in
 * memcg_reparent_objcgs().
 *
 * Context: any.
 * Return: @memcg or the nearest cgroup above that is online, with a reference.
 */
struct mem_cgroup *pmem_tier_memcg_get(struct mem_cgroup *memcg)
{
	rcu_read_lock();
	/* The root is always online. */
	while (memcg && !css_tryget_online(&memcg->css))
		memcg = parent_mem_cgroup(memcg);
	rcu_read_unlock();
	return memcg;
}
EXPORT_SYMBOL_GPL(pmem_tier_memcg_get);

/**
 * pmem_tier_memcg_room() - would a page more leave a cgroup room?
 * @memcg: the cgroup, or NULL for none
 *
 * A cgroup that is full of pages with no swap to go to is killed at its next fault.
 *
 * Context: any.
 * Return: true if this cgroup and those above are ROOM_PART from their limits.
 */
bool pmem_tier_memcg_room(struct mem_cgroup *memcg)
{
	for (; memcg; memcg = parent_mem_cgroup(memcg)) {
		unsigned long max = min(READ_ONCE(memcg->memory.max),
					READ_ONCE(memcg->memory.high));

		if (page_counter_read(&memcg->memory) > max - max / ROOM_PART)
			return false;
	}
	return true;
}
EXPORT_SYMBOL_GPL(pmem_tier_memcg_room);
