// SPDX-License-Identifier: GPL-2.0-only
/*
 * Processes that had a failed page mapped must be gone before its struct page is.
 */
#define pr_fmt(fmt) "pmem_tier: " fmt

/**
 * DOC: hwpoison entries
 *
 * Where a page was mapped that has failed there are hwpoison entries afterwards. They name
 * the page but hold no reference to it: mm's pages of DRAM never go. Ours do, with the tier, and
 * who reads /proc/PID/smaps looks at the struct page. So, where such entries were left, a tier
 * stays until none is left, which takes a walk through all page tables: nobody counts them.
 *
 * Until then the tier holds a reference to the module. Unloading it couldn't but wait for those
 * processes, and nothing could be asked of us meanwhile. tiers.c looks whether they are gone.
 */

#include <linux/idr.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/pagewalk.h>
#include <linux/pid.h>
#include <linux/pid_namespace.h>
#include <linux/sched/mm.h>
#include <linux/sched/task.h>
#include <linux/static_call.h>
#include <linux/swap.h>
#include <linux/swapops.h>
#include <pmem_tier/hooks.h>

#include "core.h"

DEFINE_STATIC_CALL_NULL(tier_walk_page_range, walk_page_range);

/* Without it a tier stays for good once a page failed that was mapped. */
static struct pmem_tier_feature hwpoison_feature = { .name = "hwpoison" };

/* Seldom anybody ever needs it, so it is looked for then; under tier_lock. */
static bool asked;

/**
 * pmem_tier_leave_hwpoison() - hwpoison entries are about to be left for a page
 * @tier: its tier
 *
 * Context: any; the page is lent.
 */
void pmem_tier_leave_hwpoison(struct pmem_tier *tier)
{
	__module_get(THIS_MODULE);
	if (xchg(&to_tier_ns(tier)->hwpoison_left, true))
		module_put(THIS_MODULE);
}
EXPORT_SYMBOL_GPL(pmem_tier_leave_hwpoison);

static int look_at_pte(pte_t *ptep, unsigned long addr, unsigned long next,
		       struct mm_walk *walk)
{
	const struct tier_ns *ns = walk->private;
	pte_t pte = ptep_get(ptep);
	swp_entry_t entry;

	if (!is_swap_pte(pte))
		return 0;
	entry = pte_to_swp_entry(pte);
	return is_hwpoison_entry(entry) &&
	       PFN_PHYS(swp_offset_pfn(entry)) - ns->phys < ns->size;
}

/* Of huge pages none is ours: don't have the walk split them. */
static int skip_huge(pmd_t *pmd, unsigned long addr, unsigned long next,
		     struct mm_walk *walk)
{
	pmd_t entry = pmdp_get_lockless(pmd);

	if (pmd_trans_huge(entry) || pmd_devmap(entry) || is_swap_pmd(entry))
		walk->action = ACTION_CONTINUE;
	return 0;
}

static const struct mm_walk_ops hwpoison_ops = {
	.pmd_entry = skip_huge,
	.pte_entry = look_at_pte,
	.walk_lock = PGWALK_RDLOCK,
};

static bool mm_has_some(struct tier_ns *ns, struct mm_struct *mm)
{
	bool some;

	mmap_read_lock(mm);
	some = static_call(tier_walk_page_range)(mm, 0, TASK_SIZE_MAX,
						 &hwpoison_ops, ns) > 0;
	mmap_read_unlock(mm);
	return some;
}

/* The next task from number @nr on, whose memory isn't that of an earlier one; its mm. */
static struct mm_struct *next_mm(int *nr)
{
	struct mm_struct *mm = NULL;
	struct task_struct *task;
	struct pid *pid;

	for (; !mm; (*nr)++) {
		rcu_read_lock();
		pid = idr_get_next(&init_pid_ns.idr, nr);
		task = pid ? pid_task(pid, PIDTYPE_PID) : NULL;
		/*
		 * A leader that has ended may leave threads behind. While execve() makes
		 * another thread the leader, both are looked at, or the same twice.
		 */
		if (task && (data_race(thread_group_leader(task)) ||
			     !READ_ONCE(READ_ONCE(task->group_leader)->mm)))
			get_task_struct(task);
		else
			task = NULL;
		rcu_read_unlock();
		if (!pid)
			break;
		if (task) {
			mm = get_task_mm(task);
			put_task_struct(task);
		}
		cond_resched();
	}
	return mm;
}

static bool can_walk(void)
{
	void *walk;

	if (!asked) {
		asked = true;
		pmem_tier_feature_add(&hwpoison_feature);
		walk = pmem_tier_symbol(&hwpoison_feature, "int walk_page_range(struct mm_struct *, unsigned long, unsigned long, const struct mm_walk_ops *, void *)");
		static_call_update(tier_walk_page_range, walk);
		if (walk)
			pmem_tier_feature_on(&hwpoison_feature);
	}
	return static_call_query(tier_walk_page_range);
}

/**
 * tier_hwpoison_find() - who has hwpoison entries for pages of a tier?
 * @ns: the tier; nothing of it is lent, or will be
 *
 * When it is nobody, the tier lets go of the module.
 *
 * Context: process context, may sleep; under tier_lock.
 * Return: the pid of a process, 0 when there is none, or -EOPNOTSUPP when this
 * kernel can't tell.
 */
int tier_hwpoison_find(struct tier_ns *ns)
{
	struct mm_struct *mm;
	bool some = false;
	int nr = 1;

	if (!READ_ONCE(ns->hwpoison_left))
		return 0;
	if (!can_walk())
		return -EOPNOTSUPP;
	while (!some && (mm = next_mm(&nr))) {
		some = mm_has_some(ns, mm);
		mmput(mm);
	}
	if (some)
		return nr - 1;
	/* It stays until our caller has returned, who waits for its own end when it is unloaded. */
	WRITE_ONCE(ns->hwpoison_left, false);
	module_put(THIS_MODULE);
	return 0;
}

/**
 * tier_hwpoison_left() - does anybody have hwpoison entries for pages of a tier?
 * @ns: the tier; nothing of it is lent, or will be
 *
 * Says who, in the log.
 *
 * Context: process context, may sleep; under tier_lock.
 * Return: true if so: its struct pages must stay.
 */
bool tier_hwpoison_left(struct tier_ns *ns)
{
	int pid = tier_hwpoison_find(ns);

	if (pid < 0)
		pr_info("%s: stays: a page failed that was mapped, and this kernel can't tell by whom\n",
			ns->tier.name);
	else if (pid)
		pr_info("%s: in use: process %d has failed pages of it in its memory\n",
			ns->tier.name, pid);
	return pid;
}

/**
 * tier_hwpoison_exit() - undo what tier_hwpoison_left() set up
 *
 * Context: process context, may sleep; no tier is left.
 */
void tier_hwpoison_exit(void)
{
	if (asked)
		pmem_tier_feature_del(&hwpoison_feature);
}
