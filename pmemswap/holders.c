// SPDX-License-Identifier: GPL-2.0-only
/*
 * Who has the lent pages that don't come back.
 */
#define pr_fmt(fmt) "pmemswap: " fmt

#include <linux/mm.h>
#include <linux/sched/task.h>

#include "pmemswap.h"
#include "rmap.h"

#define PIDS_MAX	8

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

static enum ps_rmap_next add_owner(struct page_vma_mapped_walk *mapped,
				   void *arg)
{
	struct task_struct *owner;

	rcu_read_lock();
	owner = rcu_dereference(mapped->vma->vm_mm->owner);
	if (owner)
		add_pid(arg, task_tgid_nr(owner));
	rcu_read_unlock();
	return PS_RMAP_ON;
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
	bool can = ps_rmap_enable();

	for (at = 0; at < nr && can && h.nr < PIDS_MAX; at++) {
		if (page_count(pfn_to_page(first + at)) &&
		    ps_maybe_anon(pfn_to_page(first + at)))
			ps_rmap(pfn_to_page(first + at), add_owner, &h);
		cond_resched();
	}
	for (i = 0; i < h.nr; i++)
		len += scnprintf(pids + len, sizeof(pids) - len, " %d",
				 h.pid[i]);
	pr_warn_ratelimited("%s: %lld pages are lent still: pinned, or without room for them in DRAM or in their cgroup; processes:%s\n",
			    ps->disk->disk_name, ps_lent_pages(ps),
			    h.nr ? pids : " unknown");
}
