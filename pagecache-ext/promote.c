// SPDX-License-Identifier: GPL-2.0-only
/*
 * Promotion: pages that are in use all the time move to DRAM, where some is free.
 */

/**
 * DOC: promotion
 *
 * Once a second, or less often when it takes long, a part of the pool is looked at, the next
 * part the next time. A page that was used before each of CX_USES_HOT looks in a row is hot, and
 * moves to DRAM as compaction would move it, by the filesystem's ->migrate_folio(), if
 * DRAM is free anyway: what is in pmem is found as fast, so nothing is evicted for it. A page
 * that has failed meanwhile is dropped.
 *
 * In DRAM it is charged to the cgroup that it was charged to when it was evicted, within its
 * limits and without reclaim; one whose cgroup is gone stays. The charge is made on the new page
 * and laid aside while it takes over from the one in pmem, which is the root
 * cgroup's, because mm hands on what the old page has.
 */

#include <linux/jiffies.h>
#include <linux/memcontrol.h>
#include <linux/migrate.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/sched/mm.h>
#include <linux/swap.h>
#include <linux/vmstat.h>
#include <pmem_tier/dram.h>

#include "cachex.h"
#include "trace.h"

#define PERIOD		HZ

/* Looking takes at most one part in this of a CPU. */
#define CPU_PART	50

/* A look goes over one part in this of the pool, but over so many pages at least. */
#define SCAN_PART	16
#define SCAN_PAGES	32768UL

/* What cx_page has of a cgroup's serial number. */
#define SERIAL_MASK	0x3f

DEFINE_STATIC_CALL_NULL(cx_mem_cgroup_charge, __mem_cgroup_charge);
DEFINE_STATIC_CALL_NULL(cx_mem_cgroup_from_id, mem_cgroup_from_id);
DEFINE_STATIC_CALL_NULL(cx_workingset_refault, workingset_refault);

unsigned int cx_promote_pages_per_second = 4096;

static struct pmem_tier_feature promote_feature = { .name = "cachex_promote" };
static struct workqueue_struct *promote_wq;

/* Whose DRAM it was, with a reference; NULL when nobody's. */
static struct mem_cgroup *owner(struct cx_tier *ct, unsigned long index)
{
	const struct cx_page *page = &ct->pages[index];
	struct mem_cgroup *memcg;

	if (mem_cgroup_disabled())
		return NULL;
	rcu_read_lock();
	memcg = static_call(cx_mem_cgroup_from_id)(page->memcg);
	/* Another one has its id now, or it is on its way out. */
	if (memcg && ((memcg->css.serial_nr ^ page->serial) & SERIAL_MASK ||
		      !css_tryget_online(&memcg->css)))
		memcg = NULL;
	rcu_read_unlock();
	return memcg;
}

/* A page of DRAM to take over from @src, charged to @memcg. */
static struct folio *new_folio(struct folio *src, struct mem_cgroup *memcg)
{
	gfp_t gfp = mapping_gfp_mask(folio_mapping(src));
	struct mem_cgroup *old;
	struct folio *dst;
	int err;

	/* kswapd may wake, but nobody waits. */
	gfp &= ~(__GFP_DIRECT_RECLAIM | __GFP_IO | __GFP_FS | __GFP_NOFAIL);
	gfp |= __GFP_NOWARN | __GFP_NORETRY;
	dst = folio_alloc(gfp, 0);
	if (!dst || !memcg)
		return dst;
	old = set_active_memcg(memcg);
	err = static_call(cx_mem_cgroup_charge)(dst, NULL, gfp);
	set_active_memcg(old);
	if (!err)
		return dst;
	folio_put(dst);
	return NULL;
}

/* What it is charged for, it takes with it into the cgroup's statistics. */
static void take_charge(struct folio *folio, unsigned long memcg_data)
{
	unsigned long flags;

	local_irq_save(flags);
	lruvec_stat_mod_folio(folio, NR_FILE_PAGES, -1);
	folio->memcg_data = memcg_data;
	lruvec_stat_mod_folio(folio, NR_FILE_PAGES, 1);
	local_irq_restore(flags);
}

/* Both are locked; ours is the one extra reference to @src. */
static bool move(struct folio *src, struct folio *dst)
{
	struct address_space *mapping = folio_mapping(src);
	void *shadow = pmem_tier_cached_shadow(&src->page);
	unsigned long memcg_data = dst->memcg_data;
	int err;

	/* mm gives @dst what @src has, the root cgroup. */
	dst->memcg_data = 0;
	err = mapping->a_ops->migrate_folio(mapping, dst, src, MIGRATE_ASYNC);
	if (err != MIGRATEPAGE_SUCCESS) {
		dst->memcg_data = memcg_data;
		return false;
	}
	src->mapping = NULL;
	take_charge(dst, memcg_data);
	/* It was evicted, and is back: the balance of the LRU lists is made of that. */
	static_call(cx_workingset_refault)(dst, shadow);
	/* When DRAM is short again, it is to come back. */
	cx_remember(dst);
	folio_add_lru(dst);
	return true;
}

static bool promote_locked(struct cx_tier *ct, unsigned long index,
			   struct folio *src)
{
	struct mem_cgroup *memcg;
	struct folio *dst = NULL;
	bool moved = false;

	/* Those that are locked in memory are used all the time, or seem to be. */
	if (!folio_mapping(src) || folio_test_writeback(src) ||
	    folio_test_dirty(src) || folio_test_mlocked(src) ||
	    !pmem_tier_cached_is_roots(&src->page))
		return false;
	memcg = owner(ct, index);
	if ((memcg || mem_cgroup_disabled()) && pmem_tier_memcg_room(memcg))
		dst = new_folio(src, memcg);
	mem_cgroup_put(memcg);
	if (!dst)
		return false;
	folio_lock(dst);
	/* The costly part comes last: not for one that can't move anyway. */
	if (cx_unmap(src, CX_COLD) && !folio_test_dirty(src))
		moved = move(src, dst);
	folio_unlock(dst);
	folio_put(dst);
	return moved;
}

static bool promote(struct cx_tier *ct, unsigned long index)
{
	struct cx_page *page = &ct->pages[index];
	struct folio *src = cx_get(ct, index, false);
	bool moved;

	if (!src)
		return false;
	moved = promote_locked(ct, index, src);
	if (moved)
		cx_count(READ_ONCE(page->target), CX_PROMOTED, 1);
	else
		/* It is let alone for some looks. */
		page->uses = 0;
	folio_unlock(src);
	folio_put(src);
	return moved;
}

/* Look at the next part of the pool; returns how many pages moved. */
static unsigned long look(struct cx_tier *ct, unsigned long budget)
{
	unsigned long nr = ct->tier->nr_pages, moved = 0, index, end;

	if (ct->promote_at >= nr)
		ct->promote_at = 0;
	index = ct->promote_at;
	end = min(nr, index + max(nr / SCAN_PART, SCAN_PAGES));
	for (;;) {
		index = pmem_tier_next_cached(ct->tier, index);
		if (index >= end)
			break;
		if (pmem_tier_index_bad(ct->tier, index)) {
			cx_poisoned(ct->tier, index, 0);
		} else if (cx_look(ct, index) && budget &&
			   pmem_tier_spare_dram() > 0 && promote(ct, index)) {
			budget--;
			moved++;
		}
		index++;
		cond_resched();
	}
	ct->promote_at = end;
	return moved;
}

static void promote_work(struct work_struct *work)
{
	struct cx_tier *ct = container_of(to_delayed_work(work),
					  struct cx_tier, promote);
	unsigned long budget = READ_ONCE(cx_promote_pages_per_second);
	unsigned long start = jiffies, moved = 0;

	if (!pmem_tier_feature_ready(&promote_feature))
		budget = 0;
	if (budget || READ_ONCE(ct->tier->has_bad)) {
		budget *= clamp((start - ct->promote_last) / HZ, 1UL, 10UL);
		moved = look(ct, budget);
	}
	ct->promote_last = start;
	if (moved)
		trace_promote(ct->tier->name, moved);
	queue_delayed_work(promote_wq, &ct->promote,
			   max((jiffies - start) * CPU_PART,
			       (unsigned long)PERIOD));
}

/**
 * cx_promote_start() - look after a tier's hot pages
 * @ct: the tier
 *
 * Context: process context.
 */
void cx_promote_start(struct cx_tier *ct)
{
	/* Nothing is hot on an idle system: it isn't woken for it. */
	INIT_DEFERRABLE_WORK(&ct->promote, promote_work);
	ct->promote_last = jiffies;
	queue_delayed_work(promote_wq, &ct->promote, PERIOD);
}

/**
 * cx_promote_stop() - undo cx_promote_start()
 * @ct: the tier
 *
 * Context: process context, may sleep.
 */
void cx_promote_stop(struct cx_tier *ct)
{
	cancel_delayed_work_sync(&ct->promote);
}

/**
 * cx_promote_enable() - find what promotion takes
 *
 * The rest does without.
 *
 * Context: process context, may sleep; under cx_lock.
 */
void cx_promote_enable(void)
{
	struct pmem_tier_feature *f = &promote_feature;
	void *charge = pmem_tier_symbol(f,
		"int __mem_cgroup_charge(struct folio *, struct mm_struct *, unsigned int)");
	void *from_id = pmem_tier_symbol(f,
		"struct mem_cgroup *mem_cgroup_from_id(unsigned short)");
	void *refault = pmem_tier_symbol(f,
		"void workingset_refault(struct folio *, void *)");

	if (!charge || !from_id || !refault)
		return;
	static_call_update(cx_mem_cgroup_charge, charge);
	static_call_update(cx_mem_cgroup_from_id, from_id);
	static_call_update(cx_workingset_refault, refault);
	pmem_tier_feature_on(f);
}

/**
 * cx_promote_init() - set up promotion
 *
 * Context: process context, may sleep.
 * Return: 0 or -ENOMEM.
 */
int cx_promote_init(void)
{
	/* Stopped while the system suspends. */
	promote_wq = alloc_workqueue("pmem_cachex_promote",
				     WQ_UNBOUND | WQ_FREEZABLE, 0);
	if (!promote_wq)
		return -ENOMEM;
	pmem_tier_feature_add(&promote_feature);
	return 0;
}

/**
 * cx_promote_exit() - undo cx_promote_init()
 *
 * Context: process context, may sleep; no tier is left.
 */
void cx_promote_exit(void)
{
	pmem_tier_feature_del(&promote_feature);
	destroy_workqueue(promote_wq);
}
