// SPDX-License-Identifier: GPL-2.0-only
/*
 * Promotion: lent pages that are in use all the time move to DRAM.
 */

/**
 * DOC: promotion
 *
 * A page is hot when it was accessed before each of two looks at it in a row. The accessed
 * bits of page table entries tell; PG_referenced keeps the answer of the look before (and
 * tells of accesses by get_user_pages(), which sets it as well). A look goes over a part of
 * the pool, the next one over the next part.
 *
 * Hot pages move as a drain moves them, up to promote_pages_per_second, but wait for
 * no memory: the allocation may wake kswapd, which evicts what is colder, and a cgroup at its
 * limit may reclaim a little of its own.
 */

#include <linux/bitmap.h>
#include <linux/mm.h>
#include <linux/mmu_notifier.h>
#include <linux/static_call.h>
#include <linux/slab.h>

#include "pmemswap.h"
#include "rmap.h"
#include "table.h"

/* A look goes over one part in this of the pool, but over so many pages at least. */
#define SCAN_PART	16
#define SCAN_PAGES	32768UL

/* Pages of the pool, and neighbours in the page table, that are looked at together. */
#define SCAN_CHUNK	512
#define SCAN_AROUND	64

#define PROMOTE_GFP	(GFP_HIGHUSER_MOVABLE & ~__GFP_DIRECT_RECLAIM)

DEFINE_STATIC_CALL_NULL(ps_clear_young, ptep_test_and_clear_young);
/* __mmu_notifier_clear_young(): not declared where there is no such thing. */
typedef int (*notify_young_fn)(struct mm_struct *mm, unsigned long start,
			       unsigned long end);
DEFINE_STATIC_CALL_NULL(ps_notify_young, *(notify_young_fn)NULL);

static struct pmem_tier_feature promote_feature = { .name = "promote" };

/**
 * struct scan - a look at a part of the pool
 * @ps: the device
 * @first: pfn of the part's first page
 * @nr: how long the part is
 * @seen: pages of the part that were looked at
 * @hot: pages that are hot
 * @nr_hot: how many of them there are
 */
struct scan {
	struct pmemswap *ps;
	unsigned long first;
	unsigned long nr;
	DECLARE_BITMAP(seen, SCAN_CHUNK);
	unsigned long hot[SCAN_CHUNK];
	unsigned int nr_hot;
};

static bool test_young(struct vm_area_struct *vma, unsigned long address,
		       pte_t *pte)
{
	struct mm_struct *mm = vma->vm_mm;
	/* As ptep_clear_young_notify(): a stale TLB entry costs a look, no data. */
	bool young = static_call(ps_clear_young)(vma, address, pte);

	/* One that is there only now gets no page without the page table lock. */
	if (data_race(mm_has_notifiers(mm)))
		young |= static_call(ps_notify_young)(mm, address,
						      address + PAGE_SIZE);
	return young;
}

static void look_at(struct scan *s, struct page *page, bool young)
{
	unsigned long nr = page_to_pfn(page) - s->first;
	struct folio *folio = page_folio(page);

	/* Mapped by several, it is the first place that counts. */
	if (__test_and_set_bit(nr, s->seen))
		return;
	if (!young)
		folio_clear_referenced(folio);
	else if (!folio_test_referenced(folio))
		folio_set_referenced(folio);
	else
		s->hot[s->nr_hot++] = page_to_pfn(page);
}

static enum ps_rmap_next look_around(struct page_vma_mapped_walk *mapped,
				     void *arg)
{
	struct vm_area_struct *vma = mapped->vma;
	struct scan *s = arg;
	unsigned long at;
	struct ps_table t;
	unsigned int i;

	ps_table_around(&t, vma, mapped->address, mapped->pte, SCAN_AROUND);
	for (i = 0, at = t.first; i < t.nr; i++, at += PAGE_SIZE) {
		pte_t pte = ptep_get(t.pte + i);

		if (!pte_present(pte) || pte_special(pte) ||
		    pte_pfn(pte) - s->first >= s->nr ||
		    !PageAnon(pte_page(pte)))
			continue;
		look_at(s, pte_page(pte), test_young(vma, at, t.pte + i));
	}
	return PS_RMAP_ON;
}

/* Look at a part of the pool; returns how many pages are hot. */
static unsigned int look(struct scan *s)
{
	unsigned long i;

	bitmap_zero(s->seen, SCAN_CHUNK);
	s->nr_hot = 0;
	for (i = 0; i < s->nr; i++) {
		struct page *page = pfn_to_page(s->first + i);

		/* The page cache's are not ours to move. */
		if (page_count(page) && ps_maybe_anon(page) &&
		    !test_bit(i, s->seen))
			ps_rmap(page, look_around, s);
	}
	return s->nr_hot;
}

/**
 * ps_promote() - look for hot pages in the next part of the pool, and promote them
 * @ps: the device
 * @budget: pages that may be promoted; to try counts
 *
 * Context: process context, may sleep; not twice at a time for a device.
 * Return: how many were.
 */
unsigned long ps_promote(struct pmemswap *ps, unsigned long budget)
{
	unsigned long nr = ps->tier->nr_pages, promoted = 0, left, n;
	struct scan *s;

	if (!pmem_tier_feature_ready(&promote_feature))
		return 0;
	s = kmalloc(sizeof(*s), GFP_KERNEL);
	if (!s)
		return 0;
	s->ps = ps;
	left = min(nr, max(nr / SCAN_PART, SCAN_PAGES));
	while (left && budget) {
		if (ps->promote_at >= nr)
			ps->promote_at = 0;
		s->nr = min3(left, nr - ps->promote_at,
			     (unsigned long)SCAN_CHUNK);
		s->first = ps->tier->first_pfn + ps->promote_at;
		n = min_t(unsigned long, look(s), budget);
		promoted += ps_drain_pages(ps, s->hot, n, PROMOTE_GFP, false);
		budget -= n;
		ps->promote_at += s->nr;
		left -= s->nr;
		cond_resched();
	}
	kfree(s);
	ps_count(ps, PS_PROMOTED, promoted);
	return promoted;
}

/**
 * ps_promote_enable() - find what promotion takes
 *
 * Context: process context, may sleep, one at a time.
 */
void ps_promote_enable(void)
{
	struct pmem_tier_feature *f = &promote_feature;
	void *young, *notify = NULL;

	young = pmem_tier_symbol(f, "int ptep_test_and_clear_young(struct vm_area_struct *, unsigned long, pte_t *)");
	if (!young)
		return;
	/* Without it no process has notifiers. */
	if (IS_ENABLED(CONFIG_MMU_NOTIFIER)) {
		notify = pmem_tier_symbol(f, "int __mmu_notifier_clear_young(struct mm_struct *, unsigned long, unsigned long)");
		if (!notify)
			return;
	}
	if (!ps_rmap_enable())
		return pmem_tier_feature_off(f, "needs rmap");
	static_call_update(ps_notify_young, notify);
	static_call_update(ps_clear_young, young);
	pmem_tier_feature_on(f);
}

/**
 * ps_promote_init() - set up promotion
 *
 * Context: process context, may sleep.
 */
void ps_promote_init(void)
{
	pmem_tier_feature_add(&promote_feature);
}

/**
 * ps_promote_exit() - undo ps_promote_init()
 *
 * Context: process context, may sleep.
 */
void ps_promote_exit(void)
{
	pmem_tier_feature_del(&promote_feature);
}
