// SPDX-License-Identifier: GPL-2.0-only
/*
 * Upkeep: what is done about lent pages in the background, while there are any.
 */

/**
 * DOC: upkeep
 *
 * Once a second, or less often when it takes long:
 *
 * - shared slots are settled, see shared.c;
 * - hot pages are promoted, see promote.c;
 * - pages that stayed lent after swapoff move to DRAM, and while the pool has hardly a free
 *   page left, any lent pages do, if a part of DRAM is free anyway. So page-out goes
 *   on, and in the end the module can go.
 */

#include <linux/jiffies.h>
#include <linux/mm.h>
#include <linux/workqueue.h>
#include <pmem_tier/dram.h>

#include "origin.h"
#include "pmemswap.h"
#include "rmap.h"
#include "trace.h"

#define PERIOD		HZ

/* Upkeep takes at most one part in this of a CPU. */
#define CPU_PART	50

/* The pool is low when no more than one part in this is free. */
#define LOW_PART	64

/* Pages that are taken back together. */
#define BATCH		64

static struct workqueue_struct *upkeep_wq;

/* The page cache gives its pages to swap when there is no other. */
static bool pool_low(struct pmemswap *ps)
{
	return pmem_tier_free_pages(ps->tier) +
	       pmem_tier_used_pages(ps->tier, PMEM_TIER_CACHE) <=
	       ps->tier->nr_pages / LOW_PART;
}

/*
 * Is it better to have the page back? One whose data others need is none: its slot would
 * keep it. It may be returned at any time: this is a guess.
 */
static bool wanted_back(struct pmemswap *ps, const struct page *page, bool low)
{
	swp_entry_t entry = { .val = lent_origin(page) };
	unsigned long word;

	if (!page_count(page) || !ps_maybe_anon(page))
		return false;
	if (is_memcg(entry.val) || !low)
		return is_memcg(entry.val);
	/* Of another device it could be, if it was returned just now. */
	if (swp_offset(entry) >= ps->nr_slots)
		return false;
	word = READ_ONCE(ps->slots[swp_offset(entry)].word);
	return slot_kind(word) == SLOT_LENT;
}

/* Go on through the pool, as long as there is something to gain. */
static unsigned long take_back_some(struct pmemswap *ps, unsigned long budget)
{
	unsigned long nr = ps->tier->nr_pages, left = nr;
	unsigned long pfn[BATCH], taken = 0;
	bool low = pool_low(ps);
	unsigned int n = 0;

	while (left-- && budget) {
		if (ps->low_at >= nr)
			ps->low_at = 0;
		pfn[n] = ps->tier->first_pfn + ps->low_at++;
		n += wanted_back(ps, pfn_to_page(pfn[n]), low);
		if (left % BATCH == 0)
			cond_resched();
		if (left && n < min(BATCH, budget))
			continue;
		if (pmem_tier_spare_dram() < n)
			break;
		taken += ps_drain_pages(ps, pfn, n, GFP_HIGHUSER_MOVABLE &
						    ~__GFP_RECLAIM, true);
		budget -= n;
		n = 0;
		low = pool_low(ps);
	}
	ps_count(ps, PS_TAKEN_BACK, taken);
	return taken;
}

static void upkeep(struct pmemswap *ps)
{
	unsigned long budget = READ_ONCE(ps->promote_pages_per_second);
	unsigned long seconds = (jiffies - ps->upkeep_last) / HZ;
	unsigned long promoted, taken = 0;

	ps_settle(ps);
	if (!budget)
		return;
	budget *= clamp(seconds, 1UL, 10UL);
	promoted = ps_promote(ps, budget);
	if (pool_low(ps) || atomic_long_read(&ps->orphans))
		taken = take_back_some(ps, budget);
	if (promoted || taken)
		trace_upkeep(ps->id, promoted, taken);
}

static void ps_upkeep_work(struct work_struct *work)
{
	struct pmemswap *ps = container_of(to_delayed_work(work),
					   struct pmemswap, upkeep_work);
	unsigned long start = jiffies;

	upkeep(ps);
	ps->upkeep_last = start;
	if (!ps_lent_pages(ps)) {
		WRITE_ONCE(ps->upkeep_on, 0);
		/* Who lent a page and found it on has counted the page after this: map_in(). */
		synchronize_rcu();
		if (!ps_lent_pages(ps) || xchg(&ps->upkeep_on, 1))
			return;
	}
	queue_delayed_work(upkeep_wq, &ps->upkeep_work,
			   max((jiffies - start) * CPU_PART,
			       (unsigned long)PERIOD));
}

/**
 * ps_upkeep_start() - pages are lent: look after them, after a while
 * @ps: the device
 *
 * Context: any but interrupts.
 */
void ps_upkeep_start(struct pmemswap *ps)
{
	if (!xchg(&ps->upkeep_on, 1))
		queue_delayed_work(upkeep_wq, &ps->upkeep_work, PERIOD);
}

/**
 * ps_upkeep_setup() - prepare a device for upkeep
 * @ps: the device, new
 *
 * Context: any.
 */
void ps_upkeep_setup(struct pmemswap *ps)
{
	INIT_DELAYED_WORK(&ps->upkeep_work, ps_upkeep_work);
	ps->promote_pages_per_second = 4096;
	ps->upkeep_last = jiffies;
}

/**
 * ps_upkeep_end() - no more upkeep
 * @ps: the device, none of whose pages is lent
 *
 * Context: process context, may sleep.
 */
void ps_upkeep_end(struct pmemswap *ps)
{
	disable_delayed_work_sync(&ps->upkeep_work);
}

/**
 * ps_upkeep_init() - set up upkeep
 *
 * Context: process context, may sleep.
 * Return: 0 or -ENOMEM.
 */
int ps_upkeep_init(void)
{
	/* Stopped while the system suspends. */
	upkeep_wq = alloc_workqueue("pmemswap_upkeep",
				    WQ_UNBOUND | WQ_FREEZABLE, 0);
	return upkeep_wq ? 0 : -ENOMEM;
}

/**
 * ps_upkeep_exit() - undo ps_upkeep_init()
 *
 * Context: process context, may sleep; no device is left.
 */
void ps_upkeep_exit(void)
{
	destroy_workqueue(upkeep_wq);
}
