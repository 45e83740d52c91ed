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

static bool add_owner(struct folio *folio, struct vm_area_struct *vma,
		      unsigned long address, void *arg)
{
	struct task_struct *owner;

	rcu_read_lock();
	owner = rcu_dereference(vma->vm_mm->owner);
	if (owner)
		add_pid(arg, task_tgid_nr(owner));
	rcu_read_unlock();
	return true;
}

static void look_at(struct page *page, struct holders *h)
{
	struct rmap_walk_control rwc = { .arg = h, .rmap_one = add_owner };
	struct folio *folio = page_folio(page);

	if (!folio_try_get(folio))
		return;
	if (folio_trylock(folio)) {
		if (folio_mapped(folio))
			static_call_cond(ps_rmap_walk)(folio, &rwc);
		folio_unlock(folio);
	}
	folio_put(folio);
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

	if (!static_call_query(ps_rmap_walk)) {
		void *walk = pmem_tier_symbol(&ps_map_in_feature, "rmap_walk");

		if (walk)
			static_call_update(ps_rmap_walk, walk);
	}
	for (at = 0; at < nr && h.nr < PIDS_MAX; at++) {
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
