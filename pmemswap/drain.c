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
#include <linux/swap.h>
#include <pmem_tier/dram.h>
#include <pmem_tier/media.h>

#include "origin.h"
#include "pmemswap.h"
#include "trace.h"

#define DRAIN_BATCH	64

/* How long a drain that was asked for waits for pinned pages, and how often it looks. */
#define DRAIN_TRIES	20
#define DRAIN_PAUSE	(HZ / 10)

/**
 * struct batch - pages that are migrated together
 * @pfn: the pages
 * @src: entries as migrate_device_range() makes them
 * @dst: where they go, 0 for those that stay
 * @anon_vma: what each of them is mapped through, with a reference
 * @let_go: its slot has let go of it, see shared.c
 * @nr: how many
 * @refused: a cgroup that has no room: not asked again for each page, because
 *	each time it would reclaim; only compared, so there is no reference
 * @no_dram: there is none: not asked for again, which would take as long each time
 * @unreadable: one of them can't be read
 * @gentle: others need DRAM, too
 * @patience: how hard charging a cgroup may try, __GFP_NORETRY or
 *	__GFP_RETRY_MAYFAIL
 * @gfp: how hard allocating DRAM may try
 */
struct batch {
	unsigned long pfn[DRAIN_BATCH];
	unsigned long src[DRAIN_BATCH];
	unsigned long dst[DRAIN_BATCH];
	struct anon_vma *anon_vma[DRAIN_BATCH];
	bool let_go[DRAIN_BATCH];
	unsigned long nr;
	struct mem_cgroup *refused;
	bool no_dram;
	bool unreadable;
	bool gentle;
	gfp_t patience;
	gfp_t gfp;
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
static unsigned long isolate(struct pmemswap *ps, unsigned long pfn,
			     struct anon_vma **anon_vma, bool *let_go)
{
	struct folio *folio = page_folio(pfn_to_page(pfn));

	*anon_vma = NULL;
	*let_go = false;
	if (!folio_try_get(folio))
		return 0;
	if (!folio_trylock(folio))
		goto put;
	/* Under the folio's lock: it could get another one. */
	*anon_vma = static_call(ps_get_anon_vma)(folio);
	if (!*anon_vma)
		goto unlock;
	static_call(ps_try_to_migrate)(folio, 0);
	if (folio_mapped(folio))
		return migrate_pfn(pfn);
	*let_go = ps_shared_let_go(ps, folio_page(folio, 0));
	return migrate_pfn(pfn) | MIGRATE_PFN_MIGRATE;
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
	dst = b->no_dram ? NULL : alloc_pages_node(ps->tier->nid,
						   b->gfp | __GFP_NOWARN, 0);
	if (!dst) {
		b->no_dram = true;
		return 0;
	}
	if (!charge(ps, b, src))
		goto free;
	/* A page that can't be read stays: whoever reads it is killed, others not. */
	if (pmem_tier_copy_mc_page(dst, src)) {
		b->unreadable = true;
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
static unsigned long drain_batch(struct pmemswap *ps, struct batch *b)
{
	unsigned long i, moved = 0;

	b->refused = NULL;
	if (b->gentle && pmem_tier_short_of_dram()) {
		b->no_dram = true;
		return 0;
	}
	for (i = 0; i < b->nr; i++)
		b->src[i] = isolate(ps, b->pfn[i], &b->anon_vma[i],
				    &b->let_go[i]);
	for (i = 0; i < b->nr; i++)
		b->dst[i] = copy_to_dram(ps, b, b->src[i]);
	migrate_device_pages(b->src, b->dst, b->nr);
	for (i = 0; i < b->nr; i++) {
		struct page *page = migrate_pfn_to_page(b->src[i]);

		if (b->dst[i] && b->src[i] & MIGRATE_PFN_MIGRATE) {
			moved++;
			continue;
		}
		if (b->dst[i])
			ps_charge_stay(page);
		if (b->let_go[i])
			ps_shared_keep(ps, page);
	}
	migrate_device_finalize(b->src, b->dst, b->nr);
	put_anon_vmas(b);
	return moved;
}

static struct batch *new_batch(gfp_t gfp, gfp_t patience)
{
	struct batch *b = kmalloc(sizeof(*b), GFP_KERNEL);

	if (!b)
		return NULL;
	b->nr = 0;
	b->no_dram = false;
	b->unreadable = false;
	b->gentle = false;
	b->gfp = gfp;
	b->patience = patience;
	return b;
}

/* Drain what has been gathered, if it is enough. */
static unsigned long drain_full(struct pmemswap *ps, struct batch *b,
				unsigned int enough)
{
	unsigned long moved;

	if (b->nr < enough)
		return 0;
	moved = drain_batch(ps, b);
	b->nr = 0;
	cond_resched();
	return moved;
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

	ps_settle(ps);
	if (!ps_lent_pages(ps))
		return 0;
	/*
	 * Nobody is to be killed for it. In a cgroup reclaim would go on for as long as it makes
	 * any progress.
	 */
	b = new_batch(GFP_HIGHUSER_MOVABLE | __GFP_RETRY_MAYFAIL,
		      __GFP_NORETRY);
	if (!b)
		return ps_lent_pages(ps);
	b->gentle = true;
	pmem_tier_drop_cpu_refs();
	for (at = 0; at < nr && !b->no_dram && !fatal_signal_pending(current); at++) {
		if (at % DRAIN_BATCH == 0)
			cond_resched();
		if (!page_count(pfn_to_page(first + at)))
			continue;
		b->pfn[b->nr++] = first + at;
		moved += drain_full(ps, b, DRAIN_BATCH);
	}
	moved += drain_full(ps, b, 1);
	kfree(b);
	flush_work(&ps->return_work);
	trace_drain(ps->id, moved, ps_lent_pages(ps));
	return ps_lent_pages(ps);
}

/*
 * Would it only be unmapped and mapped again? A page in use (a reference beside those
 * of page tables and a slot that lets go of it) can't move; one without a slot may not fill its
 * cgroup.
 */
static bool worth_trying(struct pmemswap *ps, struct page *page, bool room)
{
	struct folio *folio = page_folio(page);
	struct mem_cgroup *memcg;
	bool worth = false;

	if (!folio_try_get(folio))
		return false;
	/* Not locked: whose of a family it is may change, but not that. */
	if (!data_race(folio_test_anon(folio)) ||
	    folio_ref_count(folio) > folio_mapcount(folio) + 1 + ps_shared_refers(ps, page))
		goto put;
	worth = true;
	if (room || is_memcg(lent_origin(page))) {
		memcg = ps_lent_memcg(ps, page);
		worth = pmem_tier_memcg_room(memcg);
		if (memcg)
			css_put(&memcg->css);
	}
put:
	folio_put(folio);
	return worth;
}

/**
 * ps_drain_pages() - move some lent pages to DRAM
 * @ps: the device
 * @pfn: which; those that have been returned by now don't matter
 * @nr: how many
 * @gfp: how hard to try to get DRAM
 * @room: their cgroups must have room anyway, not by swapping others out
 *
 * For upkeep: what can't move isn't touched. For a page that has no slot any more the
 * cgroup has to have room in any case.
 *
 * Context: process context, may sleep; the device stays.
 * Return: how many moved.
 */
unsigned long ps_drain_pages(struct pmemswap *ps, const unsigned long *pfn,
			     unsigned int nr, gfp_t gfp, bool room)
{
	struct batch *b;
	unsigned long moved = 0;

	b = nr ? new_batch(gfp, __GFP_NORETRY) : NULL;
	if (!b)
		return 0;
	for (; nr; nr--, pfn++) {
		if (!worth_trying(ps, pfn_to_page(*pfn), room))
			continue;
		b->pfn[b->nr++] = *pfn;
		moved += drain_full(ps, b, DRAIN_BATCH);
	}
	moved += drain_full(ps, b, 1);
	kfree(b);
	return moved;
}

/**
 * ps_drain_page() - move one lent page to DRAM, if nothing keeps it
 * @ps: the device
 * @pfn: of the page, which may have been returned by now
 *
 * Context: process context, may sleep; the device stays.
 * Return: 0 when it isn't lent any more; -EBUSY when somebody holds it or has it locked;
 * -ENOMEM when there is no DRAM, or no room in its cgroup; -EIO when it can't be read.
 */
int ps_drain_page(struct pmemswap *ps, unsigned long pfn)
{
	struct batch *b = new_batch(GFP_HIGHUSER_MOVABLE | __GFP_RETRY_MAYFAIL,
				    __GFP_RETRY_MAYFAIL);
	int err = -EBUSY;

	if (!b)
		return -ENOMEM;
	b->pfn[0] = pfn;
	b->nr = 1;
	if (!page_count(pfn_to_page(pfn)) || drain_batch(ps, b))
		err = 0;
	else if (b->no_dram || b->refused)
		err = -ENOMEM;
	else if (b->unreadable)
		err = -EIO;
	kfree(b);
	return err;
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
