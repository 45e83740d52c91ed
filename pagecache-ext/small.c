// SPDX-License-Identifier: GPL-2.0-only
/*
 * Small files: their pages in pmem must not keep too many inodes in memory.
 */

/**
 * DOC: inodes
 *
 * mm doesn't free an inode that has pages in the page cache. When all it has is in pmem, a kilobyte
 * of DRAM may be kept for 4 KiB there. So this is a shrinker: when memory is short, it
 * drops pages of files that have few, and mm's own shrinkers see to the inodes.
 */

#include <linux/pagemap.h>
#include <linux/shrinker.h>

#include "cachex.h"

/* A file with that many pages in the page cache, or fewer, is small. */
#define SMALL	8

/* Of the pages, one in so many is looked at with the pressure that inodes get. */
#define COUNT_FRACTION	4

static struct shrinker *shrinker;

static unsigned long count(struct shrinker *s, struct shrink_control *sc)
{
	return cx_stored_pages() / COUNT_FRACTION ?: SHRINK_EMPTY;
}

static unsigned long scan(struct shrinker *s, struct shrink_control *sc)
{
	unsigned long freed = 0, most, i;
	struct cx_tiers *tiers;
	static unsigned int turn;
	struct cx_tier *ct;
	unsigned int n;

	rcu_read_lock();
	tiers = rcu_dereference(cx_tiers);
	if (!tiers) {
		rcu_read_unlock();
		return SHRINK_STOP;
	}
	/* A hint: which of them doesn't matter, if it isn't always the same. */
	n = READ_ONCE(turn);
	WRITE_ONCE(turn, n + 1);
	ct = tiers->tier[n % tiers->nr];
	/* To find the few that are left in a large pool takes time. */
	most = pmem_tier_used_pages(ct->tier, PMEM_TIER_CACHE);
	most = min(most, sc->nr_to_scan);
	for (i = 0; i < most; i++)
		freed += cx_drop_small(ct, SMALL);
	rcu_read_unlock();
	return freed;
}

/**
 * cx_small_init() - see to small files
 *
 * Context: process context, may sleep.
 * Return: 0 or -ENOMEM.
 */
int cx_small_init(void)
{
	shrinker = shrinker_alloc(0, "pmem_cachex");
	if (!shrinker)
		return -ENOMEM;
	shrinker->count_objects = count;
	shrinker->scan_objects = scan;
	shrinker_register(shrinker);
	return 0;
}

/**
 * cx_small_exit() - undo cx_small_init()
 *
 * Context: process context, may sleep.
 */
void cx_small_exit(void)
{
	shrinker_free(shrinker);
}
