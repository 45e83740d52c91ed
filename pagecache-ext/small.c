// SPDX-License-Identifier: GPL-2.0-only
/*
 * Small files: their pages in pmem must not keep too much of the kernel's in memory.
 */

/**
 * DOC: inodes
 *
 * mm doesn't free an inode that has pages in the page cache. When all it has is in pmem, a kilobyte
 * of DRAM may be kept for 4 KiB there. So this is a shrinker: when memory is short, it
 * drops pages of files that have few, and mm's own shrinkers see to the inodes. The same goes for a
 * node of the page cache's tree that has few pages.
 *
 * Both are charged to the cgroup that read the file, but a page in pmem is charged to none, so that
 * cgroup's own reclaim has no reason to drop it, and might find nothing that can be freed. So
 * pages with few neighbours aren't stored while much of what a limited cgroup uses is the kernel's:
 * then pmem is of no use to it for small files, but it runs out of memory no sooner.
 */

#include <linux/memcontrol.h>
#include <linux/pagemap.h>
#include <linux/shrinker.h>
#include <linux/xarray.h>

#include "cachex.h"

/* A file with that many pages in the page cache, or fewer, is small; so is a node with as many. */
#define SMALL	8

/* It is much when it is more than one part in this: what is kept stays within that. */
#define KERNEL_PART	8

/* Of the pages, one in so many is looked at with the pressure that inodes get. */
#define COUNT_FRACTION	4

static struct shrinker *shrinker;

static bool is_limited(struct mem_cgroup *memcg)
{
	for (; memcg; memcg = parent_mem_cgroup(memcg))
		if (READ_ONCE(memcg->memory.max) != PAGE_COUNTER_MAX ||
		    READ_ONCE(memcg->memory.high) != PAGE_COUNTER_MAX)
			return true;
	return false;
}

static unsigned long lru_pages(struct mem_cgroup *memcg)
{
	unsigned long sum = 0;
	struct lruvec *lruvec;
	int nid, zone, lru;

	for_each_node_state(nid, N_MEMORY) {
		lruvec = &memcg->nodeinfo[nid]->lruvec;
		for (zone = 0; zone < MAX_NR_ZONES; zone++)
			for_each_lru(lru)
				sum += mem_cgroup_get_zone_lru_size(lruvec, lru,
								    zone);
	}
	return sum;
}

/*
 * Is much of a cgroup's memory the kernel's? That is what is on no LRU list; mm's statistics of it
 * are some seconds old. For one that has others below, theirs is taken for the kernel's as
 * well: it has hardly any pages of its own.
 */
static bool is_kernel_heavy(struct mem_cgroup *memcg)
{
	unsigned long usage = page_counter_read(&memcg->memory);
	unsigned long lru = lru_pages(memcg);

	return usage > lru && usage - lru > usage / KERNEL_PART;
}

/* Would a page keep a node of the tree, or an inode, nearly by itself? */
static bool has_few_neighbours(struct address_space *mapping, pgoff_t index)
{
	XA_STATE(xas, &mapping->i_pages, index);

	xas_load(&xas);
	/* The only one there is, at index 0, needs no node. */
	return !xas.xa_node ||
	       xas.xa_node->count - xas.xa_node->nr_values <= SMALL;
}

/**
 * cx_keeps_too_much() - would a page in pmem keep too much of the kernel's in its cgroup?
 * @folio: what is evicted
 *
 * A cgroup without a limit has mm's shrinkers, and ours.
 *
 * Context: i_pages lock held, interrupts disabled.
 * Return: true if so: it is better not stored.
 */
bool cx_keeps_too_much(struct folio *folio)
{
	struct mem_cgroup *memcg = folio_memcg(folio);

	return memcg && is_limited(memcg) &&
	       has_few_neighbours(folio->mapping, folio->index) &&
	       is_kernel_heavy(memcg);
}

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
