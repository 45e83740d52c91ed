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
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/pagewalk.h>
#include <linux/pid.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/static_call.h>
#include <linux/swap.h>
#include <linux/swapops.h>
#include <linux/xarray.h>
#include <pmem_tier/hooks.h>

#include "core.h"

DEFINE_STATIC_CALL_NULL(tier_walk_page_range, walk_page_range);

/* Without it a tier stays for good once a page failed that was mapped. */
static struct pmem_tier_feature hwpoison_feature = { .name = "hwpoison" };

/* How long, and how often, a process whose memory is locked is waited for. */
#define LOCKED_TRIES	10
#define LOCKED_US	1000

/* How often a look at all processes begins before it is given up. */
#define MOST_BEGINNINGS	100

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

/*
 * A look at all processes. New ones are put at the end of the kernel's list of them, so one that
 * is forked while others are looked at comes behind its parent. And only fork() copies hwpoison
 * entries: a child has none if its parent's memory had none when that was looked at.
 */
struct look {
	struct pid *at;		/* whom to go on behind; NULL or gone: to begin, again */
	int begun;		/* how often it did */
	/*
	 * Memories that have none, and won't get any. They aren't freed before all is done: who
	 * is at the same address is the same one.
	 */
	struct xarray none;
};

/* Aligned like this, all of them. */
static unsigned long index_of(const struct mm_struct *mm)
{
	return (unsigned long)mm / L1_CACHE_BYTES;
}

/* A process' memory, if that hasn't been looked at. A leader that has ended may leave threads. */
static struct mm_struct *new_mm(struct look *look, struct task_struct *leader)
{
	struct task_struct *thread;
	struct mm_struct *mm;

	for_each_thread(leader, thread) {
		mm = READ_ONCE(thread->mm);
		if (mm && xa_load(&look->none, index_of(mm)))
			return NULL;
		mm = get_task_mm(thread);
		if (mm)
			return mm;
	}
	return NULL;
}

/*
 * The one to go on behind. Who has the number of a process is in the list, as both are lost at
 * once. But a thread that becomes the leader, in execve(), gets the number first, and before it
 * gets the place in the list, too, its pointers there are none. Without such a one the look begins
 * again, or is given up: NULL.
 */
static struct task_struct *leader_at(struct look *look)
{
	struct task_struct *leader;

	leader = look->at ? pid_task(look->at, PIDTYPE_TGID) : NULL;
	if (leader && READ_ONCE(leader->group_leader) != leader)
		leader = NULL;
	put_pid(look->at);
	look->at = NULL;
	if (!leader && ++look->begun <= MOST_BEGINNINGS)
		leader = &init_task;
	return leader;
}

/* The next memory to look at, and whose; NULL when all were looked at, or that is given up. */
static struct mm_struct *next_mm(struct look *look, pid_t *tgid)
{
	struct task_struct *leader;
	struct mm_struct *mm;

	do {
		cond_resched();
		rcu_read_lock();
		leader = leader_at(look);
		if (!leader) {
			rcu_read_unlock();
			return NULL;
		}
		do {
			leader = next_task(leader);
			mm = new_mm(look, leader);
		} while (!mm && leader != &init_task && !need_resched());
		look->at = get_pid(task_tgid(leader));
		*tgid = leader->tgid;
		rcu_read_unlock();
	} while (!mm && leader != &init_task);
	return mm;
}

static int find(struct tier_ns *ns)
{
	struct look look = {};
	struct mm_struct *mm;
	unsigned long index;
	bool some = false;
	pid_t tgid;

	xa_init(&look.none);
	while (!some && (mm = next_mm(&look, &tgid))) {
		some = may_have_some(ns, mm);
		if (!some && !xa_err(xa_store(&look.none, index_of(mm), mm, GFP_KERNEL)))
			mmgrab(mm);
		/* The last one, perhaps, and what its end waits for isn't for us to wait for. */
		mmput_async(mm);
	}
	put_pid(look.at);
	xa_for_each(&look.none, index, mm) {
		mmdrop(mm);
		cond_resched();
	}
	xa_destroy(&look.none);
	if (some)
		return tgid;
	return look.begun > MOST_BEGINNINGS ? -EAGAIN : 0;
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
 * Return: the pid of a process; 0 when there is none; -EAGAIN when so many begin and
 * end that not all could be looked at; -EOPNOTSUPP when this kernel can't tell.
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

	if (pid == -EAGAIN)
		pr_info("%s: in use: a page failed that was mapped, and too many processes come and go to tell by whom\n",
			ns->tier.name);
	else if (pid < 0)
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
