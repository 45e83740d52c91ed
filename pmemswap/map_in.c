// SPDX-License-Identifier: GPL-2.0-only
/*
 * Page-in by mapping: a swap fault lends the pmem page instead of copying it.
 */
#define pr_fmt(fmt) "pmemswap: " fmt

/**
 * DOC: lending on a fault
 *
 * do_swap_page() is hooked. For an entry of ours that only this one page table
 * entry refers to (swap_map 1, exclusive), and whose slot holds a raw page P, the
 * handler maps P and frees nothing: the page table entry's reference to the swap
 * entry becomes P's. So SwapFree and memory.swap.current stay as they were, and
 * when mm drops its last reference to P, ps_page_free() frees the swap entry.
 *
 * It all happens under the page table lock with the entry unchanged. A reader that
 * found the entry before (another thread's fault that copies) takes the same lock
 * before it maps its copy, finds the entry changed and drops it. The entry isn't in a page
 * table any more, so nobody new finds it there; readahead by offset does, but what it
 * has put into the swap cache is for nobody (but see unlend.c).
 *
 * Entries that several page tables refer to are for shared.c. Whatever isn't such a case is
 * left to do_swap_page() itself: pages in the swap cache, mlocked and droppable
 * VMAs, long-term pins.
 *
 * A slot can be out of date: a page that was written to it, came back, changed
 * and went out again may have been taken by the zero map or by zswap the second time. The
 * zero map is looked at; for zswap a slot is emptied before zswap_store() takes
 * the page (if it then refuses, the page is written to the slot after all).
 */

#include <linux/mm.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/static_call.h>
#include <linux/swap.h>
#include <linux/swapops.h>
#include <linux/vmstat.h>

#include "lending.h"
#include "pmemswap.h"
#include "rmap.h"
#include "table.h"
#include "trace.h"

static struct pmem_tier_hook fault_hook = {
	.prototype = "unsigned int do_swap_page(struct vm_fault *)",
	.trampoline = ps_tramp_fault,
};

/* Without it a slot could be mapped whose newer data is in zswap. */
static struct pmem_tier_hook zswap_hook = {
	.prototype = "bool zswap_store(struct folio *)",
	.trampoline = ps_tramp_zswap_store,
};

DEFINE_STATIC_CALL_NULL(ps_get_swap_device, get_swap_device);

/* Without it all page-ins copy. */
struct pmem_tier_feature ps_map_in_feature = { .name = "map_in" };

/* Slots that are looked at before others get the CPU. */
#define LOOK_BATCH	65536

/* enable_lock makes installing the hooks one step, and protects slots_found. */
static DEFINE_MUTEX(enable_lock);
static bool slots_found;

/*
 * Map the neighbours; the page table lock is held. Returns how many, but for the shared
 * ones, which are accounted for already.
 */
static unsigned int map_around(const struct lending *l, const struct ps_table *t,
			       unsigned int *shared)
{
	unsigned long address = t->first;
	unsigned int i, mapped = 0;
	enum ps_fallback reason;
	pte_t *ptep = t->pte;

	for (i = 0; i < t->nr; i++, ptep++, address += PAGE_SIZE) {
		pte_t pte = ptep_get(ptep);
		swp_entry_t entry;

		if (!is_swap_pte(pte))
			continue;
		/* Migration entries and the like are of other types. */
		entry = pte_to_swp_entry(pte);
		if (swp_type(entry) != l->type)
			continue;
		reason = map_one(l, address, ptep, pte, entry, false, true);
		if (likely(!reason))
			mapped++;
		else if (reason == PS_FALLBACK_SHARED)
			*shared += !ps_map_shared(l, address, ptep, pte, entry,
						  true);
	}
	return mapped;
}

/**
 * ps_vma_may_map() - may pages be mapped in a VMA?
 * @vma: the VMA
 *
 * Context: any.
 * Return: false for those that want their pages in DRAM, or entries of another kind.
 */
bool ps_vma_may_map(struct vm_area_struct *vma)
{
	/*
	 * A private mapping of a file: when a huge page of the file is to have a page
	 * table's place, mm warns of ZONE_DEVICE pages in there, collapse_pte_mapped_thp().
	 */
	if (!vma_is_anonymous(vma))
		return false;
	/* Unlending has no mmap_lock. mlock() comes for the page tables later. */
	return !(READ_ONCE(vma->vm_flags) &
		 (VM_LOCKED | VM_DROPPABLE | VM_SHADOW_STACK | VM_HUGETLB));
}

static enum ps_fallback map_in(struct vm_fault *vmf, struct pmemswap *ps,
			       struct swap_info_struct *si, swp_entry_t entry)
{
	bool write = vmf->flags & FAULT_FLAG_WRITE;
	struct vm_area_struct *vma = vmf->vma;
	unsigned int pages = READ_ONCE(ps->fault_around_pages);
	unsigned long address = vmf->address & PAGE_MASK;
	unsigned int mapped = 0, shared = 0;
	enum ps_fallback reason;
	struct lending l;
	int upkeep_on;
	struct ps_table t;
	pte_t *ptep = vmf->pte;

	if (READ_ONCE(ps->map_faults) < (write ? PS_MAP_ALL : PS_MAP_READ))
		return PS_FALLBACK_OFF;
	if (!ps_vma_may_map(vma))
		return PS_FALLBACK_VMA;
	/* It would have to move to DRAM at once, see long_pin.c. */
	if (current->flags & PF_MEMALLOC_PIN)
		return PS_FALLBACK_PIN;
	/*
	 * khugepaged and MADV_COLLAPSE put pages together, and only those that
	 * are in DRAM. Nobody else faults like that.
	 */
	if (vmf->flags == FAULT_FLAG_ALLOW_RETRY)
		return PS_FALLBACK_PIN;

	/*
	 * handle_pte_fault() has called pte_offset_map_nolock(): the page table
	 * stays (under RCU), ptl is its lock. do_swap_page() would unmap it.
	 */
	set_lending(&l, ps, si, vma, swp_type(entry), false);
	spin_lock(vmf->ptl);
	if (unlikely(!pte_same(ptep_get(ptep), vmf->orig_pte))) {
		/* As do_swap_page(): the one who was faster has seen to it. */
		__acquire(RCU);
		pte_unmap_unlock(ptep, vmf->ptl);
		return PS_FALLBACK_RACE;
	}
	/* It wants to know the device. */
	WRITE_ONCE(ps->si, si);
	reason = map_one(&l, address, ptep, vmf->orig_pte, entry, write, false);
	if (likely(!reason))
		mapped++;
	else if (reason == PS_FALLBACK_SHARED)
		reason = ps_map_shared(&l, address, ptep, vmf->orig_pte, entry,
				       false);
	if (unlikely(reason)) {
		spin_unlock(vmf->ptl);
		return reason;
	}
	shared = 1 - mapped;
	if (pages > 1) {
		ps_table_around(&t, vma, address, ptep, pages);
		mapped += map_around(&l, &t, &shared);
	}
	account_lent(&l, pte_page(ptep_get(ptep)), mapped);
	/* Under RCU still: pairs with ps_upkeep_work(). */
	ps_count(ps, PS_LENT, mapped);
	upkeep_on = READ_ONCE(ps->upkeep_on);
	__acquire(RCU);	/* for sparse: it was handle_pte_fault() */
	pte_unmap_unlock(ptep, vmf->ptl);

	/* What was swapped out is back, as far as vmstat and sar are concerned. */
	mapped += shared;
	count_vm_events(PSWPIN, mapped);
	ps_count(ps, PS_MAPPED_IN, 1);
	ps_count(ps, PS_MAPPED_AROUND, mapped - 1);
	trace_map_in(ps->id, swp_offset(entry), address, mapped, write);
	if (unlikely(!upkeep_on))
		ps_upkeep_start(ps);
	return PS_FALLBACK_NONE;
}

/**
 * ps_of_si() - the device that the kernel's idea of a swap device is about
 * @si: the kernel's; the caller keeps it from being swapped off
 *
 * Context: any.
 * Return: the device, or NULL when it is none of ours.
 */
struct pmemswap *ps_of_si(const struct swap_info_struct *si)
{
	struct gendisk *disk;

	/* That one doesn't change meanwhile, others of the flags do. */
	if (!data_race(si->flags & SWP_BLKDEV))
		return NULL;
	disk = si->bdev->bd_disk;
	return disk->fops == &ps_fops ? disk->private_data : NULL;
}

/**
 * ps_get_si() - the kernel's idea of a device
 * @ps: the device
 *
 * Context: any.
 * Return: it, with a reference to its users: swapoff waits; NULL when it isn't swapped
 * on, or mapping has never been on for it.
 */
struct swap_info_struct *ps_get_si(struct pmemswap *ps)
{
	struct swap_info_struct *si = READ_ONCE(ps->si);

	/*
	 * A device that is off already looks much the same as one that is going off,
	 * but has no reference to give.
	 */
	if (!si || static_call(ps_get_swap_device)(swp_entry(si->type, 1)) != si)
		return NULL;
	if (READ_ONCE(si->bdev) == ps->disk->part0)
		return si;
	percpu_ref_put(&si->users);
	return NULL;
}

/**
 * ps_hook_fault() - in place of do_swap_page()
 * @vmf: the fault
 *
 * Context: process context, may sleep; under the mmap_lock or the lock of the VMA, as that is.
 * Return: what that function would, or PMEM_TIER_HOOK_PASS to have it run.
 */
asmlinkage unsigned int ps_hook_fault(struct vm_fault *vmf)
{
	unsigned int ret = PMEM_TIER_HOOK_PASS;
	struct swap_info_struct *si;
	struct pmemswap *ps;
	swp_entry_t entry;

	pmem_tier_hook_enter(&fault_hook);
	entry = pte_to_swp_entry(vmf->orig_pte);
	if (non_swap_entry(entry))
		goto out;
	/* Keeps swapoff away, as in do_swap_page(). */
	si = static_call(ps_get_swap_device)(entry);
	if (!si)
		goto out;
	ps = ps_of_si(si);
	if (ps) {
		enum ps_fallback reason = map_in(vmf, ps, si, entry);

		if (!reason || reason == PS_FALLBACK_RACE)
			ret = 0;
		if (reason) {
			ps_count(ps, PS_FALLBACKS + reason, 1);
			trace_map_fallback(ps->id, swp_offset(entry),
					   vmf->address, reason);
		}
	}
	percpu_ref_put(&si->users);
out:
	pmem_tier_hook_exit(&fault_hook);
	return ret;
}

/**
 * ps_hook_zswap_store() - before zswap_store(), always followed by it
 * @folio: what is to be stored; in the swap cache, locked
 *
 * Context: process context.
 * Return: PMEM_TIER_HOOK_PASS.
 */
asmlinkage unsigned int ps_hook_zswap_store(struct folio *folio)
{
	unsigned long offset = swp_offset(folio->swap);
	long nr = folio_nr_pages(folio);
	struct swap_info_struct *si;
	struct pmemswap *ps;

	pmem_tier_hook_enter(&zswap_hook);
	si = static_call(ps_get_swap_device)(folio->swap);
	if (si) {
		ps = ps_of_si(si);
		/* swapoff wants to know it, even if nothing was ever lent. */
		if (ps)
			WRITE_ONCE(ps->si, si);
		while (ps && nr--)
			ps_empty(ps, offset++);
		percpu_ref_put(&si->users);
	}
	pmem_tier_hook_exit(&zswap_hook);
	return PMEM_TIER_HOOK_PASS;
}

static int resolve(void)
{
	void *get = pmem_tier_symbol(&ps_map_in_feature,
		"struct swap_info_struct *get_swap_device(swp_entry_t)");

	if (!get)
		return -EOPNOTSUPP;
	static_call_update(ps_get_swap_device, get);
	return ps_charge_init() ?: ps_unuse_init() ?: ps_drain_init();
}

static void disable(void)
{
	pmem_tier_hook_remove(&fault_hook);
	pmem_tier_hook_remove(&zswap_hook);
	ps_take_back_disable();
}

static int install(void)
{
	int err = resolve();

	if (err)
		return err;
	err = ps_take_back_enable();
	if (!err)
		err = pmem_tier_long_pin_enable(&ps_map_in_feature);
	if (!err && IS_ENABLED(CONFIG_ZSWAP))
		err = pmem_tier_hook_install(&zswap_hook, &ps_map_in_feature);
	if (!err)
		err = pmem_tier_hook_install(&fault_hook, &ps_map_in_feature);
	if (err)
		disable();
	/* -EBUSY, if something else has hooked a function, would be misunderstood. */
	return err && err != -ENOMEM ? -EOPNOTSUPP : err;
}

/*
 * Is there something in a slot that may be older than what zswap has? One by one: a sum over
 * CPUs, while slots are written and freed, can miss one that stays in use all the time.
 */
static void look_for_slots(struct pmemswap *ps)
{
	unsigned long index;

	for (index = 0; index < ps->nr_slots && !slots_found; index++) {
		if (slot_kind(READ_ONCE(ps->slots[index].word)) != SLOT_EMPTY)
			slots_found = true;
		if (index % LOOK_BATCH == 0)
			cond_resched();
	}
}

/**
 * ps_map_in_enable() - make page-in by mapping possible
 *
 * The hooks cost every swap fault a little, so they aren't there before somebody
 * wants them; from then on they stay. Slots written before can be out of date.
 *
 * Context: process context, may sleep.
 * Return: 0; -EOPNOTSUPP when the kernel lacks what it takes; -ENOMEM; -EBUSY when
 * slots are in use already.
 */
int ps_map_in_enable(void)
{
	int err = 0;

	mutex_lock(&enable_lock);
	if (fault_hook.installed)
		goto out;
	err = install();
	if (err)
		goto out;
	slots_found = false;
	ps_each_device(look_for_slots);
	if (slots_found) {
		disable();
		err = -EBUSY;
		goto out;
	}
	pmem_tier_feature_on(&ps_map_in_feature);
	/* Mapping does without. */
	ps_poison_enable();
	ps_unlend_enable();
	ps_promote_enable();
out:
	mutex_unlock(&enable_lock);
	return err;
}

/**
 * ps_map_in_init() - set up page-in by mapping, not in use yet
 *
 * Context: process context, may sleep.
 */
void ps_map_in_init(void)
{
	pmem_tier_feature_add(&ps_map_in_feature);
	ps_rmap_init();
	ps_poison_init();
	ps_unlend_init();
	ps_promote_init();
}

/**
 * ps_map_in_exit() - remove the hooks
 *
 * No new page is lent after it.
 *
 * Context: process context, may sleep.
 */
void ps_map_in_exit(void)
{
	disable();
	ps_promote_exit();
	ps_unlend_exit();
	ps_poison_exit();
	ps_rmap_exit();
	pmem_tier_feature_del(&ps_map_in_feature);
}
