// SPDX-License-Identifier: GPL-2.0-only
/*
 * swapoff without copying: what is swapped out is mapped where it lies.
 */

/**
 * DOC: unusing by mapping
 *
 * swapoff brings every page back that is swapped out to the device, and would need
 * DRAM for all of them. With map_faults on they are mapped instead, before the
 * kernel looks for them: its try_to_unuse() then finds only what can't be lent, and
 * copies that. Pages in tmpfs and in mlocked VMAs are such.
 */

#include <linux/mm.h>
#include <linux/mmap_lock.h>
#include <linux/oom.h>
#include <linux/pagewalk.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/static_call.h>

#include "lending.h"
#include "pmemswap.h"

DEFINE_STATIC_CALL_NULL(ps_walk_page_range, walk_page_range);

/* The kernel's list of who has something swapped out. */
struct mm_struct *ps_first_mm;
/* Its lock, the kernel's. */
spinlock_t *ps_mmlist_lock;

/**
 * struct unuse - a swapoff under way
 * @ps: the device
 * @l: for the VMA that is walked
 * @mapped: pages mapped
 */
struct unuse {
	struct pmemswap *ps;
	struct lending l;
	unsigned long mapped;
};

/**
 * ps_unuse_init() - find what unusing by mapping takes
 *
 * Context: process context, may sleep.
 * Return: 0, or -EOPNOTSUPP: then no page may be lent.
 */
int ps_unuse_init(void)
{
	struct pmem_tier_feature *f = &ps_map_in_feature;
	void *walk = pmem_tier_symbol(f,
		"int walk_page_range(struct mm_struct *, unsigned long, unsigned long, const struct mm_walk_ops *, void *)");

	ps_first_mm = pmem_tier_symbol(f, "struct mm_struct init_mm");
	ps_mmlist_lock = pmem_tier_symbol(f, "struct spinlock mmlist_lock");
	if (!walk || !ps_first_mm || !ps_mmlist_lock)
		return -EOPNOTSUPP;
	static_call_update(ps_walk_page_range, walk);
	return 0;
}

static int skip_vma(unsigned long addr, unsigned long next,
		    struct mm_walk *walk)
{
	struct unuse *u = walk->private;
	struct vm_area_struct *vma = walk->vma;

	/* Faults set it, once. */
	if (!READ_ONCE(vma->anon_vma) || !ps_vma_may_map(vma))
		return 1;
	set_lending(&u->l, u->ps, u->l.si, vma, u->l.type, true);
	return 0;
}

/* Nothing is swapped out in a huge page: don't have the walk split it. No lock is held. */
static int skip_huge(pmd_t *pmd, unsigned long addr, unsigned long next,
		     struct mm_walk *walk)
{
	pmd_t entry = pmdp_get_lockless(pmd);

	cond_resched();
	if (signal_pending(current))
		return -EINTR;
	if (!pmd_present(entry) || pmd_leaf(entry))
		walk->action = ACTION_CONTINUE;
	return 0;
}

/* Under the page table lock. */
static int unuse_pte(pte_t *ptep, unsigned long addr, unsigned long next,
		     struct mm_walk *walk)
{
	struct unuse *u = walk->private;
	pte_t pte = ptep_get(ptep);
	enum ps_fallback reason;
	swp_entry_t entry;

	if (!is_swap_pte(pte))
		return 0;
	entry = pte_to_swp_entry(pte);
	if (swp_type(entry) != u->l.type)
		return 0;
	reason = map_one(&u->l, addr, ptep, pte, entry, false, true);
	if (!reason) {
		account_lent(&u->l, pte_page(ptep_get(ptep)), 1);
		ps_count(u->ps, PS_LENT, 1);
	} else if (reason == PS_FALLBACK_SHARED) {
		reason = ps_map_shared(&u->l, addr, ptep, pte, entry, true);
	}
	u->mapped += !reason;
	return 0;
}

static const struct mm_walk_ops unuse_ops = {
	.test_walk = skip_vma,
	.pmd_entry = skip_huge,
	.pte_entry = unuse_pte,
	.walk_lock = PGWALK_RDLOCK,
};

static void unuse_mm(struct unuse *u, struct mm_struct *mm)
{
	if (mmap_read_lock_killable(mm))
		return;
	/* A fork that failed half-way has VMAs of the parent. */
	if (!check_stable_address_space(mm))
		static_call(ps_walk_page_range)(mm, 0, TASK_SIZE_MAX,
						&unuse_ops, u);
	mmap_read_unlock(mm);
}

/**
 * ps_unuse() - map all that is swapped out to a device
 * @ps: the device
 * @si: the kernel's idea of it, in swapoff
 *
 * Those who swap something in meanwhile do so by copying. What is left, is left for
 * try_to_unuse(), of which this has its way to go through the processes.
 *
 * Context: swapoff, may sleep.
 */
void ps_unuse(struct pmemswap *ps, struct swap_info_struct *si)
{
	struct unuse u = { .ps = ps, .l = { .si = si, .type = si->type } };
	struct mm_struct *prev = ps_first_mm, *mm;
	struct list_head *p = &ps_first_mm->mmlist;

	mmget(prev);
	spin_lock(ps_mmlist_lock);
	/*
	 * What is in use only gets less by now. Once nothing is, another swapoff may take each
	 * mm off the list: that would have no end any more. As try_to_unuse().
	 */
	while (READ_ONCE(si->inuse_pages) && !signal_pending(current) &&
	       (p = p->next) != &ps_first_mm->mmlist) {
		mm = list_entry(p, struct mm_struct, mmlist);
		if (!mmget_not_zero(mm))
			continue;
		spin_unlock(ps_mmlist_lock);
		mmput(prev);
		prev = mm;
		unuse_mm(&u, mm);
		spin_lock(ps_mmlist_lock);
	}
	spin_unlock(ps_mmlist_lock);
	mmput(prev);

	count_vm_events(PSWPIN, u.mapped);
	ps_count(ps, PS_MAPPED_IN, u.mapped);
	if (u.mapped)
		ps_upkeep_start(ps);
}
