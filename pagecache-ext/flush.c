// SPDX-License-Identifier: GPL-2.0-only
/*
 * Before eviction: no CPU may use a folio any more once a pmem page has taken its place.
 */

/**
 * DOC: stale TLB entries
 *
 * Reclaim unmaps a folio, evicts it, and goes on with the next ones; TLBs are flushed once for some
 * of them, before they are freed. Until then a thread with a TLB entry still reads the folio. If by
 * then another has written to the page that took its place, that is old data: rare as long as it
 * comes back from a disk only after some time, but a pmem page is there at once.
 *
 * So try_to_unmap() is hooked, and TLBs don't have a page any more when it returns, if that may be
 * stored. What is mapped more than once is flushed once all the same, by what reclaim does in
 * the end. Nothing is sent to a CPU that doesn't run the process, and what nobody has
 * mapped doesn't come here.
 *
 * What wasn't flushed, because it couldn't be stored then, must not be stored. So whatever lets
 * more be stored comes in two steps: cx_flush_prepare() has all of it flushed, and waits for those
 * that are unmapped without that to be evicted. Who sleeps meanwhile (for a lock of one of the
 * mappings, say) isn't waited for. But mm remembers, by task, that a flush is due: for
 * a while nothing is stored of what such a task evicts.
 */

#include <linux/fs.h>
#include <linux/jiffies.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/page-flags.h>
#include <linux/preempt.h>
#include <linux/rcupdate.h>
#include <linux/rmap.h>
#include <linux/sched.h>
#include <linux/static_call.h>

#include "cachex.h"

/* Tells the call that the handler makes; try_to_unmap() doesn't get to see it. */
#define OURS	BIT(31)

static struct pmem_tier_hook unmap_hook = {
	.prototype = "void try_to_unmap(struct folio *, enum ttu_flags)",
	.trampoline = cx_tramp_unmap,
};

DEFINE_STATIC_CALL_NULL(cx_unmap_batched, try_to_unmap);
/* try_to_unmap_flush(), which mm keeps to itself */
typedef void (*flush_fn)(void);
DEFINE_STATIC_CALL_NULL(cx_unmap_flush, *(flush_fn)NULL);

/* Nobody sleeps longer than that between the handler and the eviction. */
#define SETTLE	(10 * HZ)

/* What may be stored is about to change. Written under cx_lock. */
static bool flush_all;
/* Jiffies: until then somebody may still evict what he unmapped before. Written under cx_lock. */
static unsigned long settled_at;

static bool may_be_stored(const struct folio *folio)
{
	struct address_space *mapping;
	unsigned int slot;

	/* The folio is locked: its mapping stays what it is. */
	mapping = folio->mapping;
	if (!mapping || (unsigned long)mapping & PAGE_MAPPING_FLAGS)
		return false;
	/* Pairs with cx_flush_prepared(). */
	if (smp_load_acquire(&flush_all))
		return true;
	if (READ_ONCE(cx_admission) == CX_ADMIT_OFF ||
	    !rcu_access_pointer(cx_tiers))
		return false;
	/* Keeps the targets there. */
	preempt_disable();
	slot = cx_target_of(mapping->host);
	preempt_enable();
	return slot;
}

/**
 * cx_hook_unmap() - before try_to_unmap()
 * @folio: what is unmapped
 * @flags: enum ttu_flags
 *
 * Context: process context, may sleep; the folio is locked.
 * Return: the flags that try_to_unmap() gets, or that it is done.
 */
asmlinkage struct pmem_tier_hook_arg cx_hook_unmap(struct folio *folio,
						   unsigned int flags)
{
	struct pmem_tier_hook_arg ret = { };

	pmem_tier_hook_enter(&unmap_hook);
	if (flags & OURS) {
		flags &= ~OURS;
	} else if (flags & TTU_BATCH_FLUSH && may_be_stored(folio)) {
		if (folio_test_large(folio) || folio_mapcount(folio) > 1) {
			static_call(cx_unmap_batched)(folio, flags | OURS);
			static_call(cx_unmap_flush)();
			ret.skip = true;
		}
		flags &= ~TTU_BATCH_FLUSH;
	}
	ret.arg = (void *)(unsigned long)flags;
	pmem_tier_hook_exit(&unmap_hook);
	return ret;
}

/* Who unmapped a folio before has evicted it, or slept, or will be told by cx_flush_is_due(). */
static void wait_for_evictions(void)
{
	synchronize_rcu_tasks();
	WRITE_ONCE(settled_at, jiffies + SETTLE);
	/* Who sees what may be stored from now on sees this. Pairs with cx_flush_is_due(). */
	smp_wmb();
}

/**
 * cx_flush_is_due() - may a TLB still have what this task evicts?
 *
 * It says yes for others of the same batch, too.
 *
 * Context: any; reclaim that has found out that this may be stored.
 * Return: true if so: then it must not be stored.
 */
bool cx_flush_is_due(void)
{
	/* Pairs with wait_for_evictions(). */
	smp_rmb();
	return unlikely(time_before(jiffies, READ_ONCE(settled_at))) &&
	       current->tlb_ubc.flush_required;
}

/**
 * cx_flush_prepare() - before something may be stored that wasn't
 *
 * Context: process context, may sleep; under cx_lock.
 */
void cx_flush_prepare(void)
{
	lockdep_assert_held(&cx_lock);
	WRITE_ONCE(flush_all, true);
	/* Else cx_flush_enable() sees to it. */
	if (unmap_hook.installed)
		wait_for_evictions();
}

/**
 * cx_flush_prepared() - after cx_flush_prepare(), once it may be stored
 *
 * Context: process context; under cx_lock.
 */
void cx_flush_prepared(void)
{
	lockdep_assert_held(&cx_lock);
	/* Who sees this sees what may be stored now. */
	smp_store_release(&flush_all, false);
}

/**
 * cx_flush_enable() - begin to have TLBs flushed before eviction
 *
 * Context: process context, may sleep; under cx_lock.
 * Return: 0 or a negative error: then nothing may be stored.
 */
int cx_flush_enable(void)
{
	void *unmap, *flush;
	int err;

	if (unmap_hook.installed)
		return 0;
	unmap = pmem_tier_symbol(&cx_feature, unmap_hook.prototype);
	flush = pmem_tier_symbol(&cx_feature, "void try_to_unmap_flush(void)");
	if (!unmap || !flush)
		return -EOPNOTSUPP;
	static_call_update(cx_unmap_batched, unmap);
	static_call_update(cx_unmap_flush, flush);
	err = pmem_tier_hook_install(&unmap_hook, &cx_feature);
	if (!err)
		wait_for_evictions();
	return err;
}

/**
 * cx_flush_disable() - undo cx_flush_enable()
 *
 * Context: process context, may sleep; under cx_lock; nothing is stored any more.
 */
void cx_flush_disable(void)
{
	pmem_tier_hook_remove(&unmap_hook);
}
