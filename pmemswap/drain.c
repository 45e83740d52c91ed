// SPDX-License-Identifier: GPL-2.0-only
/*
 * Draining: lent pages move to DRAM, wherever they are mapped.
 */

#include <linux/highmem.h>
#include <linux/memcontrol.h>
#include <linux/migrate.h>
#include <linux/mm.h>
#include <linux/sched/signal.h>

#include "pmemswap.h"
#include "trace.h"

#define DRAIN_BATCH	64

/* How long a drain that was asked for waits for pinned pages, and how often it looks. */
#define DRAIN_TRIES	20
#define DRAIN_PAUSE	(HZ / 10)

/**
 * struct batch - pages that are migrated together
 * @src: entries of migrate_device_range()
 * @dst: where they go, 0 for those that stay
 * @nr: how many
 */
struct batch {
	unsigned long src[DRAIN_BATCH];
	unsigned long dst[DRAIN_BATCH];
	unsigned long nr;
};

static bool charge(struct pmemswap *ps, struct page *page)
{
	struct mem_cgroup *memcg = ps_lent_memcg(ps, page);
	bool charged = ps_charge_move(page, memcg);

	if (memcg)
		css_put(&memcg->css);
	return charged;
}

static unsigned long copy_to_dram(struct pmemswap *ps, unsigned long src_pfn)
{
	struct page *src = migrate_pfn_to_page(src_pfn);
	struct page *dst;

	if (!src || !(src_pfn & MIGRATE_PFN_MIGRATE))
		return 0;
	dst = alloc_pages_node(ps->tier->nid,
			       GFP_HIGHUSER_MOVABLE | __GFP_NOWARN, 0);
	if (!dst)
		return 0;
	/* A page that can't be read stays: whoever reads it is killed, others not. */
	if (copy_mc_highpage(dst, src) || !charge(ps, src)) {
		__free_page(dst);
		return 0;
	}
	lock_page(dst);
	return migrate_pfn(page_to_pfn(dst));
}

/* Returns how many moved. */
static unsigned long drain_batch(struct pmemswap *ps, struct batch *b,
				 unsigned long first)
{
	unsigned long i, moved = 0;

	if (migrate_device_range(b->src, first, b->nr))
		return 0;
	for (i = 0; i < b->nr; i++)
		b->dst[i] = copy_to_dram(ps, b->src[i]);
	migrate_device_pages(b->src, b->dst, b->nr);
	for (i = 0; i < b->nr; i++) {
		if (!b->dst[i])
			continue;
		if (b->src[i] & MIGRATE_PFN_MIGRATE)
			moved++;
		else
			ps_charge_stay(migrate_pfn_to_page(b->src[i]));
	}
	migrate_device_finalize(b->src, b->dst, b->nr);
	return moved;
}

static bool any_lent(unsigned long first, unsigned long nr)
{
	while (nr--)
		if (page_count(pfn_to_page(first++)))
			return true;
	return false;
}

/**
 * ps_drain() - move lent pages of a device to DRAM
 * @ps: the device
 *
 * Pages that somebody has pinned, for which there is no DRAM or no room in
 * their cgroup, stay where they are.
 *
 * Context: process context, may sleep.
 * Return: pages that are lent still, those that were lent meanwhile included.
 */
s64 ps_drain(struct pmemswap *ps)
{
	unsigned long first = ps->tier->first_pfn, nr = ps->tier->nr_pages;
	unsigned long at, moved = 0;
	struct batch *b;

	if (!ps_lent_pages(ps))
		return 0;
	b = kmalloc(sizeof(*b), GFP_KERNEL);
	if (!b)
		return ps_lent_pages(ps);
	for (at = 0; at < nr; at += DRAIN_BATCH) {
		cond_resched();
		b->nr = min(nr - at, (unsigned long)DRAIN_BATCH);
		if (any_lent(first + at, b->nr))
			moved += drain_batch(ps, b, first + at);
	}
	kfree(b);
	flush_work(&ps->return_work);
	trace_drain(ps->id, moved, ps_lent_pages(ps));
	return ps_lent_pages(ps);
}

/**
 * ps_drain_wait() - move lent pages to DRAM, and wait a little for pinned ones
 * @ps: the device
 *
 * Nothing tells when a page is unpinned, so this looks again and again. Says who
 * has what is left.
 *
 * Context: process context, may sleep, for some seconds.
 * Return: 0 when none is left; -EBUSY; -EINTR.
 */
int ps_drain_wait(struct pmemswap *ps)
{
	int i;

	for (i = 0; i < DRAIN_TRIES; i++) {
		if (!ps_drain(ps))
			return 0;
		if (schedule_timeout_interruptible(DRAIN_PAUSE))
			return -EINTR;
	}
	ps_report_holders(ps);
	return -EBUSY;
}
