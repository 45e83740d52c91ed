// SPDX-License-Identifier: GPL-2.0-only
/*
 * Who has the lent pages that don't come back.
 */
#define pr_fmt(fmt) "pmemswap: " fmt

#include <linux/mm.h>
#include <linux/rmap.h>
#include <linux/sched/task.h>
#include <linux/static_call.h>

#include "pmemswap.h"

#define PIDS_MAX	8

DEFINE_STATIC_CALL_NULL(ps_rmap_walk, rmap_walk);
DEFINE_STATIC_CALL_NULL(ps_lock_anon_vma, folio_lock_anon_vma_read);
DEFINE_STATIC_CALL_NULL(ps_mapped_walk, page_vma_mapped_walk);

/* Without it the message names no pids. */
static struct pmem_tier_feature holders_feature = { .name = "holders" };

/**
 * struct holders - processes whose memory the pages are
 * @pid: their pids
 * @nr: how many
 */
struct holders {
	pid_t pid[PIDS_MAX];
	unsigned int nr;
};

static void add_pid(struct holders *h, pid_t pid)
{
	unsigned int i;

	for (i = 0; i < h->nr; i++)
		if (h->pid[i] == pid)
			return;
	if (h->nr < PIDS_MAX)
		h->pid[h->nr++] = pid;
}

/* Forked processes share an anon_vma, but not every one of its pages. */
static bool add_owner(struct folio *folio, struct vm_area_struct *vma,
		      unsigned long address, void *arg)
{
	DEFINE_FOLIO_VMA_WALK(pvmw, folio, vma, address, 0);
	struct page_vma_mapped_walk *walk = &pvmw;
	struct task_struct *owner;

	if (!static_call(ps_mapped_walk)(walk))
		return true;
	page_vma_mapped_walk_done(walk);
	rcu_read_lock();
	owner = rcu_dereference(vma->vm_mm->owner);
	if (owner)
		add_pid(arg, task_tgid_nr(owner));
	rcu_read_unlock();
	return true;
}

/* rmap_walk() calls it through a pointer, see symbols.c for why that isn't mm's. */
static struct anon_vma *lock_anon_vma(struct folio *folio,
				      struct rmap_walk_control *rwc)
{
	return static_call(ps_lock_anon_vma)(folio, rwc);
}

static void look_at(struct page *page, struct holders *h)
{
	struct rmap_walk_control rwc = {
		.arg = h,
		.rmap_one = add_owner,
		/* A folio without an LRU keeps no anon_vma alive by being locked. */
		.anon_lock = lock_anon_vma,
	};
	struct folio *folio = page_folio(page);

	if (!folio_try_get(folio))
		return;
	if (folio_trylock(folio)) {
		if (folio_mapped(folio))
			static_call(ps_rmap_walk)(folio, &rwc);
		folio_unlock(folio);
	}
	folio_put(folio);
}

static bool resolve(void)
{
	struct pmem_tier_feature *f = &holders_feature;
	void *walk, *lock, *mapped;

	if (static_call_query(ps_rmap_walk))
		return true;
	mapped = pmem_tier_symbol(f,
				  "bool page_vma_mapped_walk(struct page_vma_mapped_walk *)");
	lock = pmem_tier_symbol(f,
				"struct anon_vma *folio_lock_anon_vma_read(struct folio *, struct rmap_walk_control *)");
	walk = pmem_tier_symbol(f,
				"void rmap_walk(struct folio *, struct rmap_walk_control *)");
	if (!mapped || !lock || !walk)
		return false;
	static_call_update(ps_mapped_walk, mapped);
	static_call_update(ps_lock_anon_vma, lock);
	static_call_update(ps_rmap_walk, walk);
	pmem_tier_feature_on(f);
	return true;
}

/**
 * ps_holders_init() - set up naming who holds pages
 *
 * Context: process context, may sleep.
 */
void ps_holders_init(void)
{
	pmem_tier_feature_add(&holders_feature);
}

/**
 * ps_holders_exit() - undo ps_holders_init()
 *
 * Context: process context, may sleep.
 */
void ps_holders_exit(void)
{
	pmem_tier_feature_del(&holders_feature);
}

/**
 * ps_report_holders() - say how many pages are lent still, and who has them mapped
 * @ps: the device
 *
 * A page that nobody maps is pinned by the kernel (direct I/O, io_uring, a
 * device): there is no telling for whom.
 *
 * Context: process context, may sleep.
 */
void ps_report_holders(struct pmemswap *ps)
{
	unsigned long first = ps->tier->first_pfn, nr = ps->tier->nr_pages, at;
	char pids[PIDS_MAX * 12 + 1] = "";
	struct holders h = {};
	unsigned int i, len = 0;
	bool can = resolve();

	for (at = 0; at < nr && can && h.nr < PIDS_MAX; at++) {
		if (page_count(pfn_to_page(first + at)))
			look_at(pfn_to_page(first + at), &h);
		cond_resched();
	}
	for (i = 0; i < h.nr; i++)
		len += scnprintf(pids + len, sizeof(pids) - len, " %d",
				 h.pid[i]);
	pr_warn_ratelimited("%s: %lld pages are lent still: pinned, or without room for them in DRAM or in their cgroup; processes:%s\n",
			    ps->disk->disk_name, ps_lent_pages(ps),
			    h.nr ? pids : " unknown");
}
