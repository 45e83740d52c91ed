// SPDX-License-Identifier: GPL-2.0-only
/*
 * Small files: their pages in pmem must not keep too much of the kernel's in memory.
 */

/**
 * DOC: inodes
 *
 * mm doesn't free an inode that has pages in the page cache. When all it has is in pmem, a kilobyte
 * of DRAM may be kept for 4 KiB there. So this is a shrinker: when memory is short, it
 * drops pages of files that have few, and mm's own shrinkers see to the inodes.
 *
 * Inodes, and the nodes of the page cache's tree, are charged to the cgroup that read the file, but
 * a page in pmem is charged to none. So that cgroup's own reclaim has no reason to drop it, and
 * might find nothing that can be freed. A pool can be many times as large as a cgroup's limit; so
 * nothing of it is stored any more once what the kernel has is much of that, and earlier what
 * keeps an inode or a node nearly by itself. The cgroup itself is weighed as it is; one above, by
 * mm's statistics, which are up to two seconds old: within that time, more may be stored.
 *
 * What such a cgroup had below it and is gone counts as its own: mm has it charged to the parent.
 */

#include <linux/memcontrol.h>
#include <linux/pagemap.h>
#include <linux/pagevec.h>
#include <linux/percpu.h>
#include <linux/shrinker.h>
#include <linux/static_call.h>
#include <linux/xarray.h>

#include "cachex.h"

/* A file with that many pages in the page cache, or fewer, is small; so is a node with as many. */
#define SMALL	8

/*
 * What the kernel has is much when it is more than one part in this of the limit: for a page that
 * keeps an inode or a node nearly by itself, and for any other.
 */
#define PART_FEW	8
#define PART_ANY	4

/*
 * What has no LRU list isn't summed up for each page that is evicted: that reads counters which
 * others write. By CPU, for the cgroup that had the last one evicted.
 */
#define WEIGH_EVERY	16

struct weight {
	u64 serial;
	unsigned long pages;
	unsigned int to_go;
};

static DEFINE_PER_CPU(struct weight, weight);

/* Of the pages, one in so many is looked at with the pressure that inodes get. */
#define COUNT_FRACTION	4

static struct shrinker *shrinker;

DEFINE_STATIC_CALL_NULL(cx_memcg_page_state, memcg_page_state);

static unsigned long limit_of(const struct mem_cgroup *memcg)
{
	return min(READ_ONCE(memcg->memory.max), READ_ONCE(memcg->memory.high));
}

/* The first that has a limit, of a cgroup and those above it; NULL for none. */
static struct mem_cgroup *limited_from(struct mem_cgroup *memcg)
{
	while (memcg && limit_of(memcg) == PAGE_COUNTER_MAX)
		memcg = parent_mem_cgroup(memcg);
	return memcg;
}

#ifdef CONFIG_LRU_GEN
/* While this is how mm ages pages, a cgroup's LRU sizes are those of unevictable pages only. */
static unsigned long lru_gen_pages(const struct lruvec *lruvec, int zone)
{
	int gen, type;
	long sum = 0;

	for (gen = 0; gen < MAX_NR_GENS; gen++)
		for (type = 0; type < ANON_AND_FILE; type++)
			sum += READ_ONCE(lruvec->lrugen.nr_pages[gen][type][zone]);
	/* Each of them may be below 0 for a moment. */
	return max(sum, 0);
}
#else
static unsigned long lru_gen_pages(const struct lruvec *lruvec, int zone)
{
	return 0;
}
#endif

static unsigned long lru_pages(struct mem_cgroup *memcg)
{
	unsigned long sum = 0;
	struct lruvec *lruvec;
	int nid, zone, lru;

	for_each_node_state(nid, N_MEMORY) {
		lruvec = &memcg->nodeinfo[nid]->lruvec;
		for (zone = 0; zone < MAX_NR_ZONES; zone++) {
			sum += lru_gen_pages(lruvec, zone);
			for_each_lru(lru)
				sum += mem_cgroup_get_zone_lru_size(lruvec, lru,
								    zone);
		}
	}
	return sum;
}

/* What is on no LRU list is the kernel's, but for uncertain_pages(). */
static unsigned long weigh(struct mem_cgroup *memcg)
{
	unsigned long usage = page_counter_read(&memcg->memory);
	unsigned long lru = lru_pages(memcg);

	return usage > lru ? usage - lru : 0;
}

static unsigned long own_pages(struct mem_cgroup *memcg)
{
	struct weight *w = this_cpu_ptr(&weight);

	/* What it uses includes what those below it use. */
	if (!list_empty(&memcg->css.children))
		return 0;
	if (!w->to_go || w->serial != memcg->css.serial_nr) {
		w->serial = memcg->css.serial_nr;
		w->pages = weigh(memcg);
		w->to_go = WEIGH_EVERY;
	}
	w->to_go--;
	return w->pages;
}

/*
 * What may have no LRU list and yet not be the kernel's: each CPU charges some pages ahead, and has
 * some that aren't on their list yet. Of a small limit that would be all.
 */
static unsigned long uncertain_pages(unsigned long most)
{
	return min(num_online_cpus() * (MEMCG_CHARGE_BATCH + PAGEVEC_SIZE),
		   most / 2);
}

/* Its own and all that is below it, or was: by mm's statistics. */
static unsigned long kernel_pages(struct mem_cgroup *memcg)
{
	return static_call(cx_memcg_page_state)(memcg, MEMCG_KMEM);
}

/* Would it keep a node of the tree, or an inode, nearly by itself? */
static bool has_few_neighbours(struct folio *folio)
{
	XA_STATE(xas, &folio->mapping->i_pages, folio->index);

	if (folio_nr_pages(folio) > SMALL)
		return false;
	xas_load(&xas);
	/* The only one there is, at index 0, needs no node. */
	return !xas.xa_node ||
	       xas.xa_node->count - xas.xa_node->nr_values <= SMALL;
}

/**
 * cx_keeps_too_much() - would pages in pmem keep too much of the kernel's in their cgroup?
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
	struct mem_cgroup *limited = limited_from(memcg);
	unsigned long own, most;
	unsigned int part;

	if (!limited)
		return false;
	part = has_few_neighbours(folio) ? PART_FEW : PART_ANY;
	own = own_pages(memcg);
	do {
		most = limit_of(limited) / part;
		if (own > most + uncertain_pages(most) ||
		    kernel_pages(limited) > most)
			return true;
		limited = limited_from(parent_mem_cgroup(limited));
	} while (limited);
	return false;
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
 * cx_small_enable() - find what it takes to weigh a cgroup
 *
 * Context: process context, may sleep.
 * Return: 0 or -EOPNOTSUPP: then nothing may be stored.
 */
int cx_small_enable(void)
{
	void *state = pmem_tier_symbol(&cx_feature,
				       "unsigned long memcg_page_state(struct mem_cgroup *, int)");

	if (!state)
		return -EOPNOTSUPP;
	static_call_update(cx_memcg_page_state, state);
	return 0;
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
