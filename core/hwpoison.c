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

#include <linux/delay.h>
#include <linux/idr.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/pagewalk.h>
#include <linux/pid.h>
#include <linux/pid_namespace.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/static_call.h>
#include <linux/swap.h>
#include <linux/swapops.h>
#include <pmem_tier/hooks.h>

#include "core.h"

DEFINE_STATIC_CALL_NULL(tier_walk_page_range, walk_page_range);

/* Without it a tier stays for good once a page failed that was mapped. */
static struct pmem_tier_feature hwpoison_feature = { .name = "hwpoison" };

/* How long, and how often, a process whose memory is locked is waited for. */
#define LOCKED_TRIES	10
#define LOCKED_US	1000

/* How often those that were forked meanwhile are looked at. */
#define MOST_LOOKS	100

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

/* Some hold it while they wait for something, and nobody else gets tier_lock meanwhile. */
static bool try_lock(struct mm_struct *mm)
{
	int tries;

	for (tries = LOCKED_TRIES; !mmap_read_trylock(mm); fsleep(LOCKED_US))
		if (!--tries)
			return false;
	return true;
}

static bool may_have_some(struct tier_ns *ns, struct mm_struct *mm)
{
	bool some;

	if (!try_lock(mm))
		return true;
	some = static_call(tier_walk_page_range)(mm, 0, TASK_SIZE_MAX,
						 &hwpoison_ops, ns) > 0;
	mmap_read_unlock(mm);
	return some;
}

/* The next task from number @nr on, before @end, with a memory of its own; that memory. */
static struct mm_struct *next_mm(int *nr, int end)
{
	struct mm_struct *mm = NULL;
	struct task_struct *task;
	struct pid *pid;

	for (; !mm; (*nr)++) {
		rcu_read_lock();
		pid = idr_get_next(&init_pid_ns.idr, nr);
		if (*nr >= end)
			pid = NULL;
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

/* Returns the number of a process, or 0. */
static int find_between(struct tier_ns *ns, int nr, int end)
{
	struct mm_struct *mm;
	bool some = false;

	while (!some && (mm = next_mm(&nr, end))) {
		some = may_have_some(ns, mm);
		/* The last one, perhaps, and what its end waits for isn't for us to wait for. */
		mmput_async(mm);
	}
	return some ? nr - 1 : 0;
}

/* The same from the number @nr on, and if @end is lower, from the first one on again. */
static int find_from(struct tier_ns *ns, int nr, int end)
{
	if (nr < end)
		return find_between(ns, nr, end);
	return find_between(ns, nr, INT_MAX) ?: find_between(ns, 1, end);
}

/*
 * Numbers are given in order, and from the first one on again. So a process that was forked
 * meanwhile, by one that was gone when it was to be looked at, is among those behind the last
 * number that there was when the look began; and so on. The newest come last in each look.
 */
static int find(struct tier_ns *ns)
{
	int next, last = idr_get_cursor(&init_pid_ns.idr);
	int looks, found = find_from(ns, last, last);

	for (looks = 1; !found; looks++) {
		next = idr_get_cursor(&init_pid_ns.idr);
		if (next == last)
			break;
		/* They are forked faster than they are looked at. */
		if (looks == MOST_LOOKS || fatal_signal_pending(current))
			return last;
		found = find_from(ns, last, next);
		last = next;
	}
	return found;
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
 * tier_hwpoison_find() - who may have hwpoison entries for pages of a tier?
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
	int pid;

	if (!READ_ONCE(ns->hwpoison_left))
		return 0;
	if (!can_walk())
		return -EOPNOTSUPP;
	pid = find(ns);
	if (pid)
		return pid;
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
		pr_info("%s: in use: process %d has failed pages of it in its memory, or keeps that locked\n",
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
