// SPDX-License-Identifier: GPL-2.0-only
/*
 * A lent page has failed: whoever has it mapped is told, nobody else notices.
 */

/**
 * DOC: pages that fail
 *
 * mm's memory_failure() leaves device memory to its driver. core has marked the page bad, so
 * it is never handed out again, and whoever reads its slot gets an I/O error. What is left is
 * those who have it mapped. As memory_failure() does it for a page of DRAM:
 *
 * - page table entries become hwpoison entries: who accesses the page gets SIGBUS, BUS_MCEERR_AR
 *   and the address. Who doesn't lives on;
 * - processes that want to know early (PR_MCE_KILL, vm.memory_failure_early_kill) are told by
 *   BUS_MCEERR_AO, and the one that ran into the error by BUS_MCEERR_AR.
 *
 * The page is then returned as any other, and retired. A shared slot keeps it until upkeep
 * finds that nobody maps it: then the slot is raw again and reads as an I/O error.
 *
 * A page that is moving is locked; by the time it isn't, it has moved or stays.
 *
 * Who has it in a pipe or for I/O reads it by the direct map yet, at his own risk.
 */

#include <linux/delay.h>
#include <linux/memcontrol.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/rmap.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/slab.h>
#include <linux/static_call.h>

#include "pmemswap.h"
#include "rmap.h"

DEFINE_STATIC_CALL_NULL(ps_try_to_unmap, try_to_unmap);

/* mm/internal.h has it. */
typedef struct task_struct *(*early_kill_fn)(struct task_struct *task,
					     int force_early);
DEFINE_STATIC_CALL_NULL(ps_early_kill, *(early_kill_fn)NULL);

/* Upkeep and mm have references for a moment, to look at a page. */
#define HELD_TRIES	10
#define HELD_US		1000

/* Without it a machine check in a lent page kills whoever meets it, and the page stays. */
static struct pmem_tier_feature poison_feature = { .name = "poison" };

/**
 * struct victim - a thread that has to be told
 * @node: on the list of them
 * @task: the thread, with a reference
 * @address: where it has the page
 */
struct victim {
	struct list_head node;
	struct task_struct *task;
	unsigned long address;
};

/**
 * struct victims - all of them
 * @list: they
 * @required: the current thread ran into the error
 */
struct victims {
	struct list_head list;
	bool required;
};

/* Under the page table's lock: signals are sent later. */
static enum ps_rmap_next add_victim(struct page_vma_mapped_walk *mapped,
				    void *arg)
{
	struct task_struct *task, *owner;
	struct victims *victims = arg;
	struct victim *victim;

	rcu_read_lock();
	owner = rcu_dereference(mapped->vma->vm_mm->owner);
	task = owner ? static_call(ps_early_kill)(owner, victims->required) :
		       NULL;
	victim = task ? kmalloc(sizeof(*victim), GFP_ATOMIC) : NULL;
	if (victim) {
		victim->task = get_task_struct(task);
		victim->address = mapped->address;
		list_add_tail(&victim->node, &victims->list);
	}
	rcu_read_unlock();
	return PS_RMAP_ON;
}

static void tell(struct victims *victims)
{
	struct victim *victim, *next;

	list_for_each_entry_safe(victim, next, &victims->list, node) {
		bool required = victims->required && victim->task == current;

		send_sig_mceerr(required ? BUS_MCEERR_AR : BUS_MCEERR_AO,
				(void __user *)victim->address, PAGE_SHIFT,
				victim->task);
		put_task_struct(victim->task);
		kfree(victim);
	}
}

/*
 * Is anything left of it but our reference and its slot's? Those are what they are while the folio
 * is locked. (The slot's isn't known while swapoff takes the page away from the slot: it is left
 * then.)
 */
static bool is_left(struct pmemswap *ps, struct folio *folio)
{
	bool left = true;
	int tries;

	for (tries = HELD_TRIES; left && tries; tries--) {
		if (tries < HELD_TRIES)
			fsleep(HELD_US);
		folio_lock(folio);
		left = folio_mapped(folio) ||
		       folio_ref_count(folio) >
		       1 + ps_shared_refers(ps, folio_page(folio, 0));
		folio_unlock(folio);
	}
	return left;
}

/* Returns true when nobody maps it any more, nor holds it. */
static bool unmap(struct pmem_tier *tier, struct folio *folio,
		  struct victims *victims)
{
	folio_lock(folio);
	if (!folio_test_anon(folio) || !folio_mapped(folio))
		goto out;
	ps_rmap_locked(folio, add_victim, victims);
	/* So that it leaves hwpoison entries. */
	pmem_tier_leave_hwpoison(tier);
	SetPageHWPoison(folio_page(folio, 0));
	static_call(ps_try_to_unmap)(folio, TTU_IGNORE_MLOCK | TTU_HWPOISON |
					    TTU_SYNC);
out:
	folio_unlock(folio);
	/* Whoever hasn't mapped it yet is refused its slot. */
	return !is_left(tier->priv[PMEM_TIER_SWAP], folio);
}

/**
 * ps_poisoned() - a lent page has failed
 * @tier: its tier
 * @index: the page, marked bad, with a reference that goes in any case
 * @flags: of memory_failure()
 *
 * Context: process context, may sleep; the device stays.
 * Return: true when nobody can come across it any more.
 */
bool ps_poisoned(struct pmem_tier *tier, unsigned long index, int flags)
{
	struct victims victims = {
		.list = LIST_HEAD_INIT(victims.list),
		.required = flags & MF_ACTION_REQUIRED,
	};
	struct folio *folio = page_folio(pmem_tier_index_page(tier, index));
	bool unmapped = false;

	if (pmem_tier_feature_ready(&poison_feature))
		unmapped = unmap(tier, folio, &victims);
	folio_put(folio);
	tell(&victims);
	return unmapped;
}

/**
 * ps_poison_enable() - find what handling failed pages takes
 *
 * Context: process context, may sleep, one at a time.
 */
void ps_poison_enable(void)
{
	struct pmem_tier_feature *f = &poison_feature;
	void *unmap, *early;

	unmap = pmem_tier_symbol(f,
				 "void try_to_unmap(struct folio *, enum ttu_flags)");
	early = pmem_tier_symbol(f,
				 "struct task_struct *task_early_kill(struct task_struct *, int)");
	if (!unmap || !early)
		return;
	if (!ps_rmap_enable())
		return pmem_tier_feature_off(f, "needs rmap");
	static_call_update(ps_try_to_unmap, unmap);
	static_call_update(ps_early_kill, early);
	pmem_tier_feature_on(f);
}

/**
 * ps_poison_init() - set up handling of failed pages
 *
 * Context: process context, may sleep.
 */
void ps_poison_init(void)
{
	pmem_tier_feature_add(&poison_feature);
}

/**
 * ps_poison_exit() - undo ps_poison_init()
 *
 * Context: process context, may sleep.
 */
void ps_poison_exit(void)
{
	pmem_tier_feature_del(&poison_feature);
}
