// SPDX-License-Identifier: GPL-2.0-only
/*
 * Draining: lent pages move to DRAM, wherever they are mapped.
 */

#include <linux/highmem.h>
#include <linux/memcontrol.h>
#include <linux/migrate.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/rmap.h>
#include <linux/sched/signal.h>
#include <linux/static_call.h>

#include "pmemswap.h"
#include "trace.h"

#define DRAIN_BATCH	64

/* How long a drain that was asked for waits for pinned pages, and how often it looks. */
#define DRAIN_TRIES	20
#define DRAIN_PAUSE	(HZ / 10)

/* How often one page is tried. */
#define PAGE_TRIES	3

/**
 * struct batch - pages that are migrated together
 * @src: entries as migrate_device_range() makes them
 * @dst: where they go, 0 for those that stay
 * @anon_vma: what each of them is mapped through, with a reference
 * @nr: how many
 * @refused: a cgroup that has no room: not asked again for each page, because
 *	each time it would reclaim; only compared, so there is no reference
 * @patience: how hard charging a cgroup may try, __GFP_NORETRY or
 *	__GFP_RETRY_MAYFAIL
 */
struct batch {
	unsigned long src[DRAIN_BATCH];
	unsigned long dst[DRAIN_BATCH];
	struct anon_vma *anon_vma[DRAIN_BATCH];
	unsigned long nr;
	struct mem_cgroup *refused;
	gfp_t patience;
};

DEFINE_STATIC_CALL_NULL(ps_try_to_migrate, try_to_migrate);
DEFINE_STATIC_CALL_NULL(ps_get_anon_vma, folio_get_anon_vma);
DEFINE_STATIC_CALL_NULL(ps_put_anon_vma, __put_anon_vma);

/**
 * ps_drain_init() - find what draining takes
 *
 * Context: process context, may sleep.
 * Return: 0, or -EOPNOTSUPP: then no page may be lent.
 */
int ps_drain_init(void)
{
	struct pmem_tier_feature *f = &ps_map_in_feature;
	void *migrate = pmem_tier_symbol(f,
		"void try_to_migrate(struct folio *, enum ttu_flags)");
	void *get = pmem_tier_symbol(f,
		"struct anon_vma *folio_get_anon_vma(struct folio *)");
	void *put = pmem_tier_symbol(f,
		"void __put_anon_vma(struct anon_vma *)");

	if (!migrate || !get || !put)
		return -EOPNOTSUPP;
	static_call_update(ps_try_to_migrate, migrate);
	static_call_update(ps_get_anon_vma, get);
	static_call_update(ps_put_anon_vma, put);
	return 0;
}

/*
 * In place of migrate_device_range(), which takes no reference to the anon_vma: that
 * goes with the last VMA, even while migration entries are all there is of the
 * page, and is needed again to replace them.
 */
static unsigned long isolate(unsigned long pfn, struct anon_vma **anon_vma)
{
	struct folio *folio = page_folio(pfn_to_page(pfn));

	*anon_vma = NULL;
	if (!folio_try_get(folio))
		return 0;
	if (!folio_trylock(folio))
		goto put;
	/* Under the folio's lock: it could get another one. */
	*anon_vma = static_call(ps_get_anon_vma)(folio);
	if (!*anon_vma)
		goto unlock;
	static_call(ps_try_to_migrate)(folio, 0);
	return migrate_pfn(pfn) |
	       (folio_mapped(folio) ? 0 : MIGRATE_PFN_MIGRATE);
unlock:
	folio_unlock(folio);
put:
	folio_put(folio);
	return 0;
}

static void put_anon_vmas(struct batch *b)
{
	unsigned long i;

	for (i = 0; i < b->nr; i++)
		if (b->anon_vma[i] &&
		    atomic_dec_and_test(&b->anon_vma[i]->refcount))
			static_call(ps_put_anon_vma)(b->anon_vma[i]);
}

static bool charge(struct pmemswap *ps, struct batch *b, struct page *page)
{
	struct mem_cgroup *memcg = ps_lent_memcg(ps, page);
	bool charged;

	charged = (!memcg || memcg != b->refused) &&
		  ps_charge_move(page, memcg, b->patience);
	if (!charged)
		b->refused = memcg;
	if (memcg)
		css_put(&memcg->css);
	return charged;
}

static unsigned long copy_to_dram(struct pmemswap *ps, struct batch *b,
				  unsigned long src_pfn)
{
	struct page *src = migrate_pfn_to_page(src_pfn);
	struct page *dst;

	if (!src || !(src_pfn & MIGRATE_PFN_MIGRATE))
		return 0;
	/*
	 * Another reference would be somebody's, e.g. direct I/O's, who may write to
	 * the page after the copy. From here on there is no new one: the page
	 * is mapped nowhere, and locked.
	 */
	if (page_count(src) != 1)
		return 0;
	/* Whoever dropped a reference has written before: see the data. */
	smp_rmb();
	dst = alloc_pages_node(ps->tier->nid,
			       GFP_HIGHUSER_MOVABLE | __GFP_NOWARN, 0);
	if (!dst)
		return 0;
	if (!charge(ps, b, src))
		goto free;
	/* A page that can't be read stays: whoever reads it is killed, others not. */
	if (copy_mc_highpage(dst, src)) {
		ps_charge_stay(src);
		goto free;
	}
	lock_page(dst);
	return migrate_pfn(page_to_pfn(dst));
free:
	__free_page(dst);
	return 0;
}

/* Returns how many moved. */
static unsigned long drain_batch(struct pmemswap *ps, struct batch *b,
				 unsigned long first)
{
	unsigned long i, moved = 0;

	b->refused = NULL;
	for (i = 0; i < b->nr; i++)
		b->src[i] = isolate(first + i, &b->anon_vma[i]);
	for (i = 0; i < b->nr; i++)
		b->dst[i] = copy_to_dram(ps, b, b->src[i]);
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
	put_anon_vmas(b);
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
	/* Reclaim goes on for as long as it makes any progress, else. */
	b->patience = __GFP_NORETRY;
	for (at = 0; at < nr && !fatal_signal_pending(current);
	     at += DRAIN_BATCH) {
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
 * ps_drain_page() - move one lent page to DRAM, if nothing keeps it
 * @ps: the device
 * @pfn: of the page, which may have been returned by now
 *
 * Context: process context, may sleep; the device stays.
 * Return: true when it isn't lent any more.
 */
bool ps_drain_page(struct pmemswap *ps, unsigned long pfn)
{
	struct batch *b = kmalloc(sizeof(*b), GFP_KERNEL);
	bool gone = false;
	int i;

	if (!b)
		return false;
	b->nr = 1;
	b->patience = __GFP_RETRY_MAYFAIL;
	/* Somebody may have it locked for a moment. */
	for (i = 0; i < PAGE_TRIES && !gone; i++)
		gone = !page_count(pfn_to_page(pfn)) || drain_batch(ps, b, pfn);
	kfree(b);
	return gone;
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
