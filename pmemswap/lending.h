/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Mapping a slot's page in the place of its swap entry. Inline: it is all a fault does.
 */
#ifndef _PMEMSWAP_LENDING_H
#define _PMEMSWAP_LENDING_H

#include <linux/mm.h>
#include <linux/rmap.h>
#include <linux/swap.h>
#include <linux/swapops.h>
#include <linux/vmstat.h>

#include "pmemswap.h"

/**
 * struct lending - what is the same for all pages that one fault maps
 *
 * All at hand, because it is read for each of them.
 *
 * @ps: the device
 * @vma: where
 * @tier: the tier
 * @pages: its first page
 * @slots: the slot table
 * @si: the kernel's idea of the device
 * @swap_map: its counts of references
 * @zeromap: its slots that have no data because all of it is 0
 * @mm: the owner
 * @mapping: what page->mapping becomes
 * @index_base: added to the page number of an address gives page->index
 * @pte: page table entry of the pool's first page, writable if VMA and fault let it be
 * @old_pte: the same for a neighbour, which hasn't been accessed: the CPU will say when
 *	it is
 * @plain: @pte holds for all but what uffd-wp protects
 * @swapoff: it is swapoff that maps
 * @has_bad: some pages of the tier are bad
 * @type: type of the swap entries
 */
struct lending {
	struct pmemswap *ps;
	struct vm_area_struct *vma;
	struct pmem_tier *tier;
	struct page *pages;
	struct slot *slots;
	struct swap_info_struct *si;
	unsigned char *swap_map;
	unsigned long *zeromap;
	struct mm_struct *mm;
	struct address_space *mapping;
	unsigned long index_base;
	pte_t pte;
	pte_t old_pte;
	bool plain;
	bool has_bad;
	bool swapoff;
	int type;
};

static inline void set_lending(struct lending *l, struct pmemswap *ps,
			       struct swap_info_struct *si,
			       struct vm_area_struct *vma, int type,
			       bool swapoff)
{
	l->ps = ps;
	l->vma = vma;
	l->tier = ps->tier;
	l->pages = pmem_tier_index_page(ps->tier, 0);
	l->slots = ps->slots;
	l->si = si;
	l->swap_map = si->swap_map;
	l->zeromap = si->zeromap;
	l->mm = vma->vm_mm;
	l->mapping = (struct address_space *)
		     ((unsigned long)vma->anon_vma + PAGE_MAPPING_ANON);
	l->index_base = vma->vm_pgoff - (vma->vm_start >> PAGE_SHIFT);
	l->pte = pfn_pte(ps->tier->first_pfn, vma->vm_page_prot);
	/*
	 * The pages are exclusive, so do_swap_page() would make them writable too. By
	 * pte_mkwrite(), which isn't exported; there is no shadow stack here.
	 */
	if (vma->vm_flags & VM_WRITE)
		l->pte = pte_mkwrite_novma(l->pte);
	l->old_pte = pte_mkold(l->pte);
	/* mm/internal.h: pte_needs_soft_dirty_wp() */
	l->plain = !IS_ENABLED(CONFIG_MEM_SOFT_DIRTY) ||
		   vma->vm_flags & VM_SOFTDIRTY;
	l->has_bad = READ_ONCE(ps->tier->has_bad);
	l->type = type;
	l->swapoff = swapoff;
}

/* Why a slot that isn't raw, shared or the like doesn't map. */
static inline enum ps_fallback ps_pageless(unsigned long word)
{
	return slot_kind(word) == SLOT_PACKED ? PS_FALLBACK_PACKED :
						PS_FALLBACK_FILLED;
}

/* May the slot that is locked be lent? */
static __always_inline enum ps_fallback may_lend(const struct lending *l,
						 unsigned long word)
{
	/*
	 * swapoff clears SWP_WRITEOK, and then ps_swapoff_begins() looks at each
	 * slot under its lock: either it finds this one lent or shared, or it
	 * was there before and the flag is seen to be clear here.
	 */
	if (!(READ_ONCE(l->si->flags) & SWP_WRITEOK) && !l->swapoff)
		return PS_FALLBACK_SWAPOFF;
	if (unlikely(l->has_bad || l->swapoff) &&
	    pmem_tier_index_bad(l->tier, slot_page(word)))
		return PS_FALLBACK_MEDIA;
	return PS_FALLBACK_NONE;
}

/* Make the pmem page a fresh, exclusive, anonymous page with one reference. */
static __always_inline void make_anon(const struct lending *l,
				      struct page *page, unsigned long address,
				      swp_entry_t entry)
{
	page->flags |= BIT(PG_uptodate) | BIT(PG_swapbacked) |
		       BIT(PG_anon_exclusive);
	page->index = (address >> PAGE_SHIFT) + l->index_base;
	page->zone_device_data = (void *)entry.val;
	atomic_set(&page->_mapcount, 0);
	/* Charged as swap: memcg_data is 0, and was left so. */
	/* As __folio_set_anon(): page_idle may look at any time. */
	WRITE_ONCE(page->mapping, l->mapping);
	/* Pairs with the try-get of pfn walkers and GUP-fast. */
	smp_wmb();
	set_page_count(page, 1);
}

/*
 * The page of a slot becomes mm's, if it may. Under the page table lock. A lent
 * page without references is one that has been returned: so it gets its first one
 * before the slot says that it is lent. @index is which page of the pool it is.
 */
static __always_inline enum ps_fallback lend(const struct lending *l,
					     unsigned long address,
					     swp_entry_t entry,
					     unsigned long *index)
{
	unsigned long offset = swp_offset(entry);
	unsigned char refs = READ_ONCE(l->swap_map[offset]);
	struct slot *slot = &l->slots[offset];
	enum ps_fallback reason;
	unsigned long word;

	/*
	 * One reference, ours, and not in the swap cache nor on its way there: so
	 * nobody else has the page or can get it, exclusive marker or not. The marker
	 * says no where a process forked and the other one is done with the page.
	 */
	if (refs != 1)
		return refs & SWAP_HAS_CACHE ? PS_FALLBACK_CACHED :
					       PS_FALLBACK_SHARED;
	if (test_bit(offset, l->zeromap))
		return PS_FALLBACK_FILLED;

	do {
		word = slot_get(slot);
		if (slot_kind(word) != SLOT_RAW)
			return ps_pageless(word);
		/* Not preempted: under a spin lock. */
	} while (!slot_lock_if(slot, word));
	*index = slot_page(word);
	reason = may_lend(l, word);
	if (unlikely(reason)) {
		slot_unlock_as(slot, word);
		return reason;
	}
	make_anon(l, l->pages + *index, address, entry);
	slot_unlock_as(slot, slot_word(SLOT_LENT, *index));
	return PS_FALLBACK_NONE;
}

/* Other than plain: the entry must not become writable. */
static inline pte_t protect(const struct lending *l, pte_t pte, pte_t swp_pte)
{
	if (pte_swp_uffd_wp(swp_pte))
		return pte_mkuffd_wp(pte_wrprotect(pte));
	return l->plain || pte_swp_soft_dirty(swp_pte) ? pte :
							 pte_wrprotect(pte);
}

static __always_inline pte_t make_pte(const struct lending *l,
				      unsigned long index, pte_t swp_pte,
				      bool around)
{
	pte_t pte = pte_advance_pfn(around ? l->old_pte : l->pte, index);

	if (pte_swp_soft_dirty(swp_pte))
		pte = pte_mksoft_dirty(pte);
	if (unlikely(!l->plain || pte_swp_uffd_wp(swp_pte)))
		pte = protect(l, pte, swp_pte);
	return pte;
}

/* Map one page, or say why it has to come in some other way. */
static __always_inline enum ps_fallback
map_one(const struct lending *l, unsigned long address, pte_t *ptep,
	pte_t swp_pte, swp_entry_t entry, bool write, bool around)
{
	enum ps_fallback reason;
	unsigned long index;
	pte_t pte;

	reason = lend(l, address, entry, &index);
	if (reason)
		return reason;
	pte = make_pte(l, index, swp_pte, around);
	if (write && pte_write(pte))
		pte = pte_mkdirty(pte);
	set_pte_at(l->mm, address, ptep, pte);
	return PS_FALLBACK_NONE;
}

/* What was mapped becomes mm's business. Under the page table lock. */
static inline void account_lent(const struct lending *l, struct page *page,
				unsigned int mapped)
{
	if (unlikely(!mapped))
		return;
	pmem_tier_lent(l->tier, page, mapped);
	__lruvec_stat_mod_folio(page_folio(page), NR_ANON_MAPPED, mapped);
	/* add_mm_counter() wants an unexported tracepoint. */
	percpu_counter_add(&l->mm->rss_stat[MM_ANONPAGES], mapped);
	percpu_counter_add(&l->mm->rss_stat[MM_SWAPENTS], -(s64)mapped);
}

/* shared.c */
enum ps_fallback ps_map_shared(const struct lending *l, unsigned long address,
			       pte_t *ptep, pte_t swp_pte, swp_entry_t entry,
			       bool around);

#endif /* _PMEMSWAP_LENDING_H */
