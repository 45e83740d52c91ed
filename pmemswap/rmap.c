// SPDX-License-Identifier: GPL-2.0-only
/*
 * Where a lent page is mapped: mm's reverse map, which it doesn't export.
 */

#include <linux/mm.h>
#include <linux/rmap.h>
#include <linux/static_call.h>

#include "pmemswap.h"
#include "rmap.h"

DEFINE_STATIC_CALL_NULL(ps_rmap_walk, rmap_walk);
DEFINE_STATIC_CALL_NULL(ps_lock_anon_vma, folio_lock_anon_vma_read);
DEFINE_STATIC_CALL_NULL(ps_mapped_walk, page_vma_mapped_walk);

/* Without it nobody is told who has lent pages, and none is promoted or unlent. */
static struct pmem_tier_feature rmap_feature = { .name = "rmap" };

/* resolve_lock makes looking for the functions one step. */
static DEFINE_MUTEX(resolve_lock);

/**
 * struct walk - a walk over the places where a page is mapped
 * @fn: what is done with each
 * @arg: for it
 * @gone: the page was unlent
 */
struct walk {
	ps_rmap_fn fn;
	void *arg;
	bool gone;
};

/* Forked processes share an anon_vma, but not every one of its pages. */
static bool walk_vma(struct folio *folio, struct vm_area_struct *vma,
		     unsigned long address, void *arg)
{
	DEFINE_FOLIO_VMA_WALK(pvmw, folio, vma, address, 0);
	/* The static call wants to know its type. */
	struct page_vma_mapped_walk *mapped = &pvmw;
	struct walk *walk = arg;
	enum ps_rmap_next next;

	if (!static_call(ps_mapped_walk)(mapped))
		return true;
	next = walk->fn(mapped, walk->arg);
	page_vma_mapped_walk_done(mapped);
	walk->gone = next == PS_RMAP_GONE;
	return next == PS_RMAP_ON;
}

/* rmap_walk() calls it through a pointer, see symbols.c for why that isn't mm's. */
static struct anon_vma *lock_anon_vma(struct folio *folio,
				      struct rmap_walk_control *rwc)
{
	return static_call(ps_lock_anon_vma)(folio, rwc);
}

/**
 * ps_rmap_locked() - ps_rmap() for a page that the caller has locked
 * @folio: the page; the caller has a reference
 * @fn: what
 * @arg: for it
 *
 * Context: process context, may sleep; ps_rmap_enable() was successful.
 * Return: true when the page was unlent, and the caller's reference and lock with it.
 */
bool ps_rmap_locked(struct folio *folio, ps_rmap_fn fn, void *arg)
{
	struct walk walk = { .fn = fn, .arg = arg };
	struct rmap_walk_control rwc = {
		.arg = &walk,
		.rmap_one = walk_vma,
		/* A folio without an LRU keeps no anon_vma alive by being locked. */
		.anon_lock = lock_anon_vma,
	};

	if (folio_test_anon(folio) && folio_mapped(folio))
		static_call(ps_rmap_walk)(folio, &rwc);
	return walk.gone;
}

/**
 * ps_rmap() - do something at each place where a lent page is mapped
 * @page: the page, of the pool
 * @fn: what: the page table entry is mapped and its lock held
 * @arg: for it
 *
 * Pages that aren't lent, aren't mapped or are locked are left alone. @fn may change
 * other page table entries of the same VMA and page table as well.
 *
 * Context: process context, may sleep; ps_rmap_enable() was successful.
 */
void ps_rmap(struct page *page, ps_rmap_fn fn, void *arg)
{
	struct folio *folio = page_folio(page);

	if (!folio_try_get(folio))
		return;
	if (folio_trylock(folio)) {
		if (ps_rmap_locked(folio, fn, arg))
			return;
		folio_unlock(folio);
	}
	folio_put(folio);
}

static bool resolve(void)
{
	struct pmem_tier_feature *f = &rmap_feature;
	void *walk, *lock, *mapped;

	if (static_call_query(ps_rmap_walk))
		return true;
	mapped = pmem_tier_symbol(f,
				  "bool page_vma_mapped_walk(struct page_vma_mapped_walk *)");
	lock = pmem_tier_symbol(f,
				"struct anon_vma *folio_lock_anon_vma_read(struct folio *, struct rmap_walk_control *)");
	walk = pmem_tier_symbol(f,
				"void rmap_walk(struct folio *, struct rmap_walk_control *)");
	if (!mapped || !lock || !walk)
		return false;
	static_call_update(ps_mapped_walk, mapped);
	static_call_update(ps_lock_anon_vma, lock);
	static_call_update(ps_rmap_walk, walk);
	pmem_tier_feature_on(f);
	return true;
}

/**
 * ps_rmap_enable() - find what it takes
 *
 * Context: process context, may sleep.
 * Return: true when ps_rmap() can be used.
 */
bool ps_rmap_enable(void)
{
	bool can;

	mutex_lock(&resolve_lock);
	can = resolve();
	mutex_unlock(&resolve_lock);
	return can;
}

/**
 * ps_rmap_init() - set up the reverse map
 *
 * Context: process context, may sleep.
 */
void ps_rmap_init(void)
{
	pmem_tier_feature_add(&rmap_feature);
}

/**
 * ps_rmap_exit() - undo ps_rmap_init()
 *
 * Context: process context, may sleep.
 */
void ps_rmap_exit(void)
{
	pmem_tier_feature_del(&rmap_feature);
}
