// SPDX-License-Identifier: GPL-2.0-only
/*
 * Admission: what of that which is evicted is worth a pmem page.
 */
#define pr_fmt(fmt) "pmem_cachex: " fmt

#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/pagemap.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/slab.h>

#include "cachex.h"
#include "ghost.h"

/* The ghost takes no more than this part of DRAM. */
#define GHOST_FRACTION	512

/**
 * struct memory - a ghost that can be replaced
 * @ghost: the ghost
 * @pages: how many evictions it was made for
 * @sweep: clears what is too old
 */
struct memory {
	struct ghost ghost;
	unsigned long pages;
	struct work_struct sweep;
};

/* Written under cx_lock. */
int cx_admission = CX_ADMIT_REUSE;
unsigned int cx_admit_free_percent = 10;

/*
 * Whether there is room to spare isn't asked for each page that is evicted: summing up what is
 * free takes a while. A hint, by CPU.
 */
#define ROOM_EVERY	64

struct room {
	unsigned int to_go;
	bool yes;
};

static DEFINE_PER_CPU(struct room, room);
static struct memory __rcu *memory;

static void give_way(void)
{
	cond_resched();
}

static void sweep_work(struct work_struct *work)
{
	struct memory *m = container_of(work, struct memory, sweep);

	ghost_sweep(&m->ghost, give_way);
}

/* Nobody finds it any more. */
static void forget(struct memory *old)
{
	if (!old)
		return;
	cancel_work_sync(&old->sweep);
	ghost_destroy(&old->ghost);
	kfree(old);
}

/**
 * cx_admit() - set what of the targets is taken
 * @admission: what is
 *
 * Context: process context, may sleep, as long as a drain takes.
 * Return: 0; -EINTR, with nothing changed, for a fatal signal meanwhile.
 */
int cx_admit(enum cx_admission admission)
{
	if (mutex_lock_killable(&cx_lock))
		return -EINTR;
	if (cx_admission == CX_ADMIT_OFF && admission != CX_ADMIT_OFF) {
		cx_flush_prepare();
		WRITE_ONCE(cx_admission, admission);
		cx_flush_prepared();
	} else {
		WRITE_ONCE(cx_admission, admission);
	}
	mutex_unlock(&cx_lock);
	return 0;
}

/**
 * cx_admit_resize() - remember as much as can matter
 * @pool_pages: pages of all pools
 *
 * What was remembered is forgotten, if it is too little.
 *
 * Context: process context, may sleep; under cx_lock.
 */
void cx_admit_resize(unsigned long pool_pages)
{
	unsigned long pages = totalram_pages() + pool_pages;
	struct memory *new, *old;

	old = rcu_dereference_protected(memory, lockdep_is_held(&cx_lock));
	if (old && old->pages >= pages)
		return;
	new = kzalloc(sizeof(*new), GFP_KERNEL);
	if (!new ||
	    ghost_init(&new->ghost, pages,
		       (totalram_pages() << PAGE_SHIFT) / GHOST_FRACTION,
		       NUMA_NO_NODE)) {
		pr_warn("no memory for remembering evictions: admission=reuse admits nothing that wasn't remembered before\n");
		kfree(new);
		return;
	}
	new->pages = pages;
	INIT_WORK(&new->sweep, sweep_work);
	rcu_assign_pointer(memory, new);
	synchronize_rcu();
	forget(old);
}

/**
 * cx_admit_exit() - forget everything
 *
 * Context: process context, may sleep; nobody asks any more.
 */
void cx_admit_exit(void)
{
	struct memory *old = rcu_dereference_protected(memory, true);

	RCU_INIT_POINTER(memory, NULL);
	forget(old);
}

/* By number, not by address: the inode may be gone from memory and come back. */
static u64 key_of(const struct folio *folio)
{
	const struct inode *inode = folio->mapping->host;
	u64 file = (u64)inode->i_ino ^ (u64)inode->i_sb->s_dev << 32 ^
		   inode->i_rdev;

	return file * 0xd6e8feb86659fd93ULL + folio->index;
}

static bool ask_for_room(void)
{
	const struct cx_tiers *tiers = rcu_dereference_sched(cx_tiers);
	unsigned int i;

	for (i = 0; tiers && i < tiers->nr; i++)
		if (cx_free_percent(tiers->tier[i]) >
		    READ_ONCE(cx_admit_free_percent))
			return true;
	return false;
}

/* Is so much free that what is admitted takes no other page its place? */
static bool has_room(void)
{
	struct room *r = this_cpu_ptr(&room);

	if (unlikely(!r->to_go)) {
		r->to_go = ROOM_EVERY;
		r->yes = ask_for_room();
	}
	r->to_go--;
	return r->yes;
}

static bool seen(struct memory *m, const struct folio *folio)
{
	bool yes = ghost_seen(&m->ghost, key_of(folio));

	if (unlikely(ghost_due(&m->ghost)))
		queue_work(cx_wq, &m->sweep);
	return yes;
}

/**
 * cx_reused() - was what is evicted now evicted before, not long ago?
 * @folio: it
 *
 * While pools are empty, for the most part, there is nothing that it could take the place
 * of: then it needs no evidence.
 *
 * Context: interrupts disabled, which keeps the ghost and the tiers there.
 * Return: true if it is to be admitted.
 */
bool cx_reused(const struct folio *folio)
{
	struct memory *m = rcu_dereference_sched(memory);

	return has_room() || (m && seen(m, folio));
}

/**
 * cx_remember() - what is evicted, or has left pmem, is to be admitted the next time
 * @folio: it
 *
 * Context: any.
 */
void cx_remember(const struct folio *folio)
{
	u64 key = key_of(folio);
	struct memory *m;

	rcu_read_lock();
	m = rcu_dereference(memory);
	/* To have seen it is to forget it. */
	if (m && ghost_seen(&m->ghost, key))
		ghost_seen(&m->ghost, key);
	rcu_read_unlock();
}
