// SPDX-License-Identifier: GPL-2.0-only
/*
 * Unlending: a mapped page becomes a swapped out one again, with its data in place.
 */

/**
 * DOC: unlending
 *
 * The opposite of lending: the page's reference to the swap entry becomes the
 * page table entry's. Nothing is copied or allocated. Page table entries are cleared
 * first, up to UNLEND_BATCH neighbours, then the CPUs forget them, once for all; from
 * then on nobody can write to the pages who hasn't got a reference. So those that have
 * one reference, which is frozen, are swapped out, and the others get their page table
 * entry back. It all happens under the page table lock: faults wait.
 *
 * Readahead by offset (tmpfs) reads the slots of lent pages as well, and a fault that found
 * the entry before it was lent may be copying yet: a copy in the swap cache can be older than the
 * page. So a page whose entry has SWAP_HAS_CACHE stays lent. Who sets that later reads
 * the slot later, and finds the page as it is then.
 *
 * Processes whose memory is mapped elsewhere too (MMU notifiers: KVM) keep what they have.
 */

#include <linux/mm.h>
#include <linux/mmu_notifier.h>
#include <linux/sched/signal.h>
#include <linux/static_call.h>
#include <linux/swap.h>
#include <linux/swapops.h>

#include "origin.h"
#include "pmemswap.h"
#include "rmap.h"
#include "table.h"
#include "trace.h"

#define UNLEND_BATCH	64

/* flush_tlb_mm_range(): asm/tlbflush.h declares it for built-in code only. */
typedef void (*flush_tlb_fn)(struct mm_struct *mm, unsigned long start,
			     unsigned long end, unsigned int stride_shift,
			     bool freed_tables);
DEFINE_STATIC_CALL_NULL(ps_flush_tlb, *(flush_tlb_fn)NULL);

static struct pmem_tier_feature unlend_feature = { .name = "unlend" };

/**
 * struct unlend - a piece of a page table that is being unlent
 * @ps: the device
 * @page: what led here, with a reference of ours
 * @gone: it was unlent
 * @nr: pages unlent
 * @old: page table entries that were cleared, or none
 */
struct unlend {
	struct pmemswap *ps;
	struct page *page;
	bool gone;
	unsigned int nr;
	pte_t old[UNLEND_BATCH];
};

/* References to a page that is mapped in one place and used by nobody else. */
static int own_refs(const struct unlend *u, const struct page *page)
{
	return page == u->page ? 2 : 1;
}

static bool mapped_once(const struct page *page)
{
	return atomic_read(&page->_mapcount) == 0;
}

/* The lent page in a page table entry, if it might be unlent. */
static struct page *pte_lent(const struct unlend *u, pte_t pte)
{
	const struct pmem_tier *tier = u->ps->tier;
	struct page *page;

	if (!pte_present(pte) || pte_special(pte) ||
	    pte_pfn(pte) - tier->first_pfn >= tier->nr_pages)
		return NULL;
	page = pte_page(pte);
	if (PageAnon(page) && mapped_once(page) &&
	    page_count(page) == own_refs(u, page))
		return page;
	return NULL;
}

static pte_t swapped_pte(const struct page *page, swp_entry_t entry, pte_t old)
{
	pte_t pte = swp_entry_to_pte(entry);

	if (PageAnonExclusive(page))
		pte = pte_swp_mkexclusive(pte);
	if (pte_soft_dirty(old))
		pte = pte_swp_mksoft_dirty(pte);
	if (pte_uffd_wp(old))
		pte = pte_swp_mkuffd_wp(pte);
	return pte;
}

/* Returns the page table entry for a page that can't be written to any more. */
static pte_t unlend_page(struct unlend *u, struct page *page, pte_t old)
{
	unsigned long index = pmem_tier_page_index(u->ps->tier, page);
	swp_entry_t entry = { .val = lent_origin(page) };
	struct slot *slot;
	pte_t pte = old;

	if (is_memcg(entry.val))
		return old;
	slot = &u->ps->slots[swp_offset(entry)];
	slot_lock(slot);
	/* swapoff doesn't get far while a slot is lent: swap_map is there. */
	if (slot_get(slot) == slot_word(SLOT_LENT, index) &&
	    READ_ONCE(READ_ONCE(u->ps->si)->swap_map[swp_offset(entry)]) == 1 &&
	    page_ref_freeze(page, own_refs(u, page))) {
		pte = swapped_pte(page, entry, old);
		atomic_set(&page->_mapcount, -1);
		pmem_tier_unlent(u->ps->tier, page);
		slot_set(slot, ps_raw_word(index));
		u->gone |= page == u->page;
		u->nr++;
	}
	slot_unlock(slot);
	return pte;
}

/* swapoff looks for swap entries in the processes of this list. As try_to_unmap_one(). */
static void list_mm(struct mm_struct *mm)
{
	if (!list_empty(&mm->mmlist))
		return;
	spin_lock(ps_mmlist_lock);
	if (list_empty(&mm->mmlist))
		list_add(&mm->mmlist, &ps_first_mm->mmlist);
	spin_unlock(ps_mmlist_lock);
}

static void unlend_table(struct unlend *u, struct mm_struct *mm,
			 const struct ps_table *t)
{
	unsigned long end = t->first + ((unsigned long)t->nr << PAGE_SHIFT);
	unsigned long at = t->first;
	bool any = false;
	unsigned int i;

	for (i = 0; i < t->nr; i++, at += PAGE_SIZE) {
		u->old[i] = __pte(0);
		if (!pte_lent(u, ptep_get(t->pte + i)))
			continue;
		u->old[i] = ptep_get_and_clear(mm, at, t->pte + i);
		any = true;
	}
	if (!any)
		return;
	static_call(ps_flush_tlb)(mm, t->first, end, PAGE_SHIFT, false);
	list_mm(mm);
	for (i = 0, at = t->first; i < t->nr; i++, at += PAGE_SIZE) {
		pte_t old = u->old[i];

		if (!pte_none(old))
			set_pte_at(mm, at, t->pte + i,
				   unlend_page(u, pte_page(old), old));
	}
}

static enum ps_rmap_next unlend(struct page_vma_mapped_walk *mapped, void *arg)
{
	struct vm_area_struct *vma = mapped->vma;
	struct mm_struct *mm = vma->vm_mm;
	struct unlend *u = arg;
	struct ps_table t;
	pg_data_t *pgdat;

	/*
	 * With several it isn't a question of this place. A notifier that is there
	 * only now has none of these pages yet: to get them takes this lock.
	 */
	if (!mapped_once(u->page) || data_race(mm_has_notifiers(mm)) ||
	    !ps_vma_may_map(vma))
		return PS_RMAP_STOP;
	ps_table_around(&t, vma, mapped->address, mapped->pte, UNLEND_BATCH);
	pgdat = page_pgdat(u->page);
	unlend_table(u, mm, &t);
	if (!u->nr)
		return PS_RMAP_STOP;
	trace_unlend(u->ps->id, mapped->address, u->nr);
	/*
	 * Lent pages have no cgroup, so that is all that __lruvec_stat_mod_folio() would
	 * do. But @u->page may be somebody else's by now, once it is compressed.
	 */
	__mod_node_page_state(pgdat, NR_ANON_MAPPED, -(long)u->nr);
	/* Under one of several page table locks, as mm does. */
	data_race(({ update_hiwater_rss(mm); 0; }));
	/* add_mm_counter() wants an unexported tracepoint. */
	percpu_counter_add(&mm->rss_stat[MM_ANONPAGES], -(s64)u->nr);
	percpu_counter_add(&mm->rss_stat[MM_SWAPENTS], u->nr);
	return u->gone ? PS_RMAP_GONE : PS_RMAP_STOP;
}

/**
 * ps_unlend() - make lent pages of a device swapped out ones
 * @ps: the device
 *
 * Pages that are pinned or in use by the kernel, that several processes map, that are
 * mlocked or that swapoff has parted from their slot, stay as they are.
 *
 * Context: process context, may sleep.
 * Return: 0; -EOPNOTSUPP; -EINTR.
 */
int ps_unlend(struct pmemswap *ps)
{
	unsigned long first = ps->tier->first_pfn, nr = ps->tier->nr_pages, at;
	struct unlend u = { .ps = ps };

	if (!pmem_tier_feature_ready(&unlend_feature))
		return -EOPNOTSUPP;
	ps_settle(ps);
	for (at = 0; at < nr; at++) {
		u.page = pfn_to_page(first + at);
		if (page_count(u.page)) {
			u.nr = 0;
			u.gone = false;
			ps_rmap(u.page, unlend, &u);
			ps_count(ps, PS_LENT, -(long)u.nr);
			ps_count(ps, PS_UNLENT, u.nr);
		}
		if (fatal_signal_pending(current))
			return -EINTR;
		cond_resched();
	}
	return 0;
}

/**
 * ps_unlend_enable() - find what unlending takes
 *
 * Context: process context, may sleep, one at a time.
 */
void ps_unlend_enable(void)
{
	void *flush = pmem_tier_symbol(&unlend_feature,
				       "void flush_tlb_mm_range(struct mm_struct *, unsigned long, unsigned long, unsigned int, bool)");

	if (!flush)
		return;
	if (!ps_rmap_enable())
		return pmem_tier_feature_off(&unlend_feature, "needs rmap");
	static_call_update(ps_flush_tlb, flush);
	pmem_tier_feature_on(&unlend_feature);
}

/**
 * ps_unlend_init() - set up unlending
 *
 * Context: process context, may sleep.
 */
void ps_unlend_init(void)
{
	pmem_tier_feature_add(&unlend_feature);
}

/**
 * ps_unlend_exit() - undo ps_unlend_init()
 *
 * Context: process context, may sleep.
 */
void ps_unlend_exit(void)
{
	pmem_tier_feature_del(&unlend_feature);
}
