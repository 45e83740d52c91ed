// SPDX-License-Identifier: GPL-2.0-only
/*
 * Lending the page of a swap entry that several page tables refer to.
 */

/**
 * DOC: shared slots
 *
 * After fork several page tables refer to one swap entry. The first that faults makes the
 * slot shared: its reference to the entry becomes the page's, as ever; the page isn't
 * exclusive and nobody may write to it; and the slot keeps a reference to the page as well,
 * so that mm never finds itself the only user and writes in place: the others' data is
 * in there. Who faults next maps the same page and frees its reference to the
 * entry. Who doesn't map can read the slot as if it were raw.
 *
 * A shared slot is settled:
 *
 * - when nobody refers to the entry any more but the page itself: then it is lent like
 *   any other, the slot's reference goes;
 * - when nobody maps the page any more: then the slot is raw again, and the page's
 *   reference to the entry goes. If that was the last, so does all.
 *
 * Nothing tells of either, but for a mapping here. So upkeep.c looks now and then.
 *
 * While swapoff is under way a shared slot becomes a leaving one: the page keeps nothing of
 * the entry, and what is left of the slot is its data, for those whom swapoff copies
 * it to, until the entry is freed.
 *
 * While the page may move to DRAM (drain.c) the slot is a moving one: it has no reference
 * to the page, which nobody else maps or settles meanwhile. If the page moves, and so
 * is returned, take_back() makes the slot a raw one.
 *
 * A shared slot becomes something else, and a moving one a shared one, under the lock of the
 * folio and, inside it, of the slot.
 */

#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/rmap.h>
#include <linux/static_call.h>
#include <linux/swap.h>

#include "lending.h"
#include "origin.h"
#include "pmemswap.h"

/* Slots that are looked at before others get the CPU. */
#define SETTLE_BATCH	1024

static struct slot *entry_slot(struct pmemswap *ps, swp_entry_t entry)
{
	return &ps->slots[swp_offset(entry)];
}

/* Pages that aren't exclusive belong to the root of a family of anon_vmas. */
static struct address_space *root_mapping(struct vm_area_struct *vma)
{
	return (struct address_space *)
	       ((unsigned long)vma->anon_vma->root + PAGE_MAPPING_ANON);
}

static void set_place(struct page *page, struct vm_area_struct *vma,
		      unsigned long address)
{
	page->index = linear_page_index(vma, address);
	/* As __folio_set_anon(). */
	WRITE_ONCE(page->mapping, root_mapping(vma));
}

/* The slot is locked and raw: its page gets a first user, and one that is the slot. */
static void share_raw(const struct lending *l, struct page *page,
		      unsigned long address, swp_entry_t entry)
{
	page->flags |= BIT(PG_uptodate) | BIT(PG_swapbacked);
	page->zone_device_data = (void *)entry.val;
	atomic_set(&page->_mapcount, 0);
	set_place(page, l->vma, address);
	/* Pairs with the try-get of pfn walkers and GUP-fast. */
	smp_wmb();
	set_page_count(page, 2);
	pmem_tier_lent(l->tier, page, 1);
	__lruvec_stat_mod_folio(page_folio(page), NR_ANON_MAPPED, 1);
}

/*
 * The lent page gets one user more; its folio is locked, the reference is the caller's
 * to give. Entries of merged pages (KSM) are shared by strangers, for whom a page
 * can't be in two places: false. So it is for a page that went bad.
 */
static bool share_again(const struct lending *l, struct page *page,
			unsigned long address)
{
	struct vm_area_struct *vma = l->vma;

	if (pmem_tier_index_bad(l->tier, pmem_tier_page_index(l->tier, page)))
		return false;
	if (!page_mapped(page))
		set_place(page, vma, address);
	else if (page->mapping != root_mapping(vma) ||
		 page->index != linear_page_index(vma, address))
		return false;
	if (atomic_inc_and_test(&page->_mapcount))
		__lruvec_stat_mod_folio(page_folio(page), NR_ANON_MAPPED, 1);
	return true;
}

/* For sparse: these slots are locked by functions that don't always do it. */
static void unlock(struct slot *slot)
{
	__acquire(bitlock);
	slot_unlock(slot);
}

/*
 * Lock what a shared slot is made of, if that is what it is: returns its page, with a
 * reference, its folio and the slot locked.
 */
static struct page *lock_shared(struct pmemswap *ps, struct slot *slot,
				bool wait)
{
	unsigned long word = READ_ONCE(slot->word) & ~BIT(SLOT_LOCK_BIT);
	struct folio *folio;

	if (slot_kind(word) != SLOT_SHARED)
		return NULL;
	folio = page_folio(pmem_tier_index_page(ps->tier, slot_payload(word)));
	/* Without a reference it is on its way back, see take_back(). */
	if (!folio_try_get(folio))
		return NULL;
	if (!folio_trylock(folio)) {
		if (!wait)
			goto put;
		folio_lock(folio);
	}
	slot_lock(slot);
	if (slot_get(slot) == word) {
		__release(bitlock);
		return folio_page(folio, 0);
	}
	slot_unlock(slot);
	folio_unlock(folio);
put:
	folio_put(folio);
	return NULL;
}

/*
 * Nobody maps the page: the slot, locked, is raw again. The caller frees the page's
 * reference to the entry when it has unlocked the slot. False when somebody does.
 */
static bool make_raw(struct pmemswap *ps, struct slot *slot, struct page *page)
{
	/* One is the slot's, one is lock_shared()'s. */
	if (!page_ref_freeze(page, 2))
		return false;
	pmem_tier_unlent(ps->tier, page);
	slot_set(slot, ps_raw_word(pmem_tier_page_index(ps->tier, page)));
	ps_count(ps, PS_SHARED, -1);
	ps_count(ps, PS_LENT, -1);
	return true;
}

static void settle(struct pmemswap *ps, struct swap_info_struct *si,
		   unsigned long offset)
{
	struct slot *slot = &ps->slots[offset];
	struct page *page = lock_shared(ps, slot, false);
	bool alone = false;

	if (!page)
		return;
	if (make_raw(ps, slot, page)) {
		unlock(slot);
		static_call(ps_free_swap_and_cache_nr)
			(swp_entry(si->type, offset), 1);
		return;
	}
	/* That one is the page's. With more, or in the swap cache: somebody may read. */
	if (READ_ONCE(si->swap_map[offset]) == 1) {
		slot_set(slot, slot_word(SLOT_LENT,
					 pmem_tier_page_index(ps->tier, page)));
		ps_count(ps, PS_SHARED, -1);
		alone = true;
	}
	unlock(slot);
	unlock_page(page);
	if (alone)
		put_page(page);
	put_page(page);
}

/* A second user: the page has been mapped by another. */
static bool map_again(const struct lending *l, unsigned long address,
		      swp_entry_t entry, unsigned long *index)
{
	struct slot *slot = entry_slot(l->ps, entry);
	struct page *page = lock_shared(l->ps, slot, false);
	bool mapped;

	if (!page)
		return false;
	mapped = share_again(l, page, address);
	unlock(slot);
	unlock_page(page);
	if (!mapped) {
		put_page(page);
		return false;
	}
	*index = pmem_tier_page_index(l->tier, page);
	return true;
}

static enum ps_fallback map_first(const struct lending *l,
				  unsigned long address, swp_entry_t entry,
				  unsigned long *index)
{
	struct slot *slot = entry_slot(l->ps, entry);
	enum ps_fallback reason;
	unsigned long word;

	slot_lock(slot);
	word = slot_get(slot);
	if (slot_kind(word) != SLOT_RAW) {
		reason = slot_has_page(word) ? PS_FALLBACK_SHARED :
					       ps_pageless(word);
		goto out;
	}
	reason = may_lend(l, word);
	if (reason)
		goto out;
	*index = slot_page(word);
	share_raw(l, l->pages + *index, address, entry);
	slot_set(slot, slot_word(SLOT_SHARED, *index));
	ps_count(l->ps, PS_SHARED, 1);
	ps_count(l->ps, PS_LENT, 1);
out:
	slot_unlock(slot);
	return reason;
}

/**
 * ps_map_shared() - map the page of an entry with several references
 * @l: the fault
 * @address: the address, of a page
 * @ptep: its page table entry
 * @swp_pte: what is in there
 * @entry: the swap entry
 * @around: for a neighbour's fault
 *
 * Writing is for mm to sort out, on the next fault: it copies. All that there is to
 * account for is accounted, but for the device's count of pages mapped.
 *
 * Context: under the page table lock.
 * Return: PS_FALLBACK_NONE, or why the page has to come in some other way.
 */
enum ps_fallback ps_map_shared(const struct lending *l, unsigned long address,
			       pte_t *ptep, pte_t swp_pte, swp_entry_t entry,
			       bool around)
{
	unsigned long offset = swp_offset(entry), index;
	bool again;

	if (READ_ONCE(l->swap_map[offset]) & SWAP_HAS_CACHE)
		return PS_FALLBACK_CACHED;
	if (test_bit(offset, l->zeromap))
		return PS_FALLBACK_FILLED;
	again = map_again(l, address, entry, &index);
	if (!again) {
		enum ps_fallback reason = map_first(l, address, entry, &index);

		if (reason)
			return reason;
	}
	set_pte_at(l->mm, address, ptep,
		   pte_wrprotect(make_pte(l, index, swp_pte, around)));
	/* add_mm_counter() wants an unexported tracepoint. */
	percpu_counter_add(&l->mm->rss_stat[MM_ANONPAGES], 1);
	percpu_counter_add(&l->mm->rss_stat[MM_SWAPENTS], -1);
	/* The first one's reference to the entry is the page's now. */
	if (again)
		static_call(ps_free_swap_and_cache_nr)(entry, 1);
	settle(l->ps, l->si, offset);
	return PS_FALLBACK_NONE;
}

/**
 * ps_settle() - see which shared slots aren't shared any more
 * @ps: the device
 *
 * Context: process context, may sleep.
 */
void ps_settle(struct pmemswap *ps)
{
	struct swap_info_struct *si;
	unsigned long offset;

	if (!ps_shared_pages(ps))
		return;
	si = ps_get_si(ps);
	if (!si)
		return;
	for (offset = 1; offset < ps->nr_slots; offset++) {
		settle(ps, si, offset);
		if (offset % SETTLE_BATCH == 0)
			cond_resched();
	}
	percpu_ref_put(&si->users);
}

/*
 * Under the lock, as may_lend(): who is about to share the slot has done so, or will see that
 * swapoff is under way. So what isn't shared here never is again.
 */
static bool is_shared(struct slot *slot)
{
	enum slot_kind kind;

	slot_lock(slot);
	kind = slot_kind(slot_get(slot));
	slot_unlock(slot);
	return kind == SLOT_SHARED || kind == SLOT_MOVING;
}

/* Wait for a moving slot to be shared again; false when its page is on its way back. */
static bool wait_moving(struct pmemswap *ps, struct slot *slot)
{
	for (;;) {
		unsigned long word = READ_ONCE(slot->word);
		struct folio *folio;

		if (slot_kind(word) != SLOT_MOVING)
			return true;
		folio = page_folio(pmem_tier_index_page(ps->tier,
							slot_payload(word)));
		if (!folio_try_get(folio))
			return false;
		folio_lock(folio);
		folio_unlock(folio);
		folio_put(folio);
		cond_resched();
	}
}

/**
 * ps_shared_leave() - swapoff: a shared slot and its page part
 * @ps: the device
 * @entry: the swap entry
 *
 * Context: swapoff, may sleep.
 * Return: true when the caller has to free one reference to the entry: it was the page's.
 */
bool ps_shared_leave(struct pmemswap *ps, swp_entry_t entry)
{
	struct slot *slot = entry_slot(ps, entry);
	struct page *page = NULL;

	while (!page && is_shared(slot)) {
		/* Its return frees the page's reference. */
		if (!wait_moving(ps, slot))
			return false;
		page = lock_shared(ps, slot, true);
	}
	if (!page)
		return false;
	if (make_raw(ps, slot, page)) {
		unlock(slot);
		return true;
	}
	WRITE_ONCE(page->zone_device_data,
		   ps_charge_find(entry) ?: (void *)NO_MEMCG);
	slot_set(slot, slot_word(SLOT_LEAVING,
				 pmem_tier_page_index(ps->tier, page)));
	ps_orphan(ps);
	ps_count(ps, PS_SHARED, -1);
	ps_count(ps, PS_LENT, -1);
	unlock(slot);
	unlock_page(page);
	put_page(page);
	return true;
}

/* The slot that a lent page belongs to, locked; NULL when it isn't of this kind. */
static struct slot *lock_page_slot(struct pmemswap *ps, struct page *page,
				   enum slot_kind kind)
{
	unsigned long index = pmem_tier_page_index(ps->tier, page);
	swp_entry_t entry = { .val = lent_origin(page) };
	struct slot *slot;

	if (is_memcg(entry.val))
		return NULL;
	slot = entry_slot(ps, entry);
	slot_lock(slot);
	if (slot_get(slot) == slot_word(kind, index)) {
		__release(bitlock);
		return slot;
	}
	slot_unlock(slot);
	return NULL;
}

/**
 * ps_shared_refers() - has the slot of a lent page a reference to it?
 * @ps: the device
 * @page: the page; the caller has a reference
 *
 * Context: process context.
 * Return: true when it has, which it keeps while the page is locked.
 */
bool ps_shared_refers(struct pmemswap *ps, struct page *page)
{
	struct slot *slot = lock_page_slot(ps, page, SLOT_SHARED);

	if (slot)
		unlock(slot);
	return slot;
}

/**
 * ps_shared_let_go() - a lent page is about to move: it can't while its slot refers to it
 * @ps: the device
 * @page: the page, locked and mapped by nobody; the caller has a reference
 *
 * Context: process context.
 * Return: true when it did: follow it with ps_shared_keep() if the page stays.
 */
bool ps_shared_let_go(struct pmemswap *ps, struct page *page)
{
	struct slot *slot = lock_page_slot(ps, page, SLOT_SHARED);

	if (!slot)
		return false;
	slot_set(slot, slot_word(SLOT_MOVING,
				 pmem_tier_page_index(ps->tier, page)));
	page_ref_dec(page);
	unlock(slot);
	return true;
}

/**
 * ps_shared_keep() - undo ps_shared_let_go()
 * @ps: the device
 * @page: the page, still locked
 *
 * Context: process context.
 */
void ps_shared_keep(struct pmemswap *ps, struct page *page)
{
	struct slot *slot = lock_page_slot(ps, page, SLOT_MOVING);

	if (!slot)
		return;
	page_ref_inc(page);
	slot_set(slot, slot_word(SLOT_SHARED,
				 pmem_tier_page_index(ps->tier, page)));
	unlock(slot);
}
