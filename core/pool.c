// SPDX-License-Identifier: GPL-2.0-only
/*
 * The page pool of a tier: users, counts and the reserve.
 */
#define pr_fmt(fmt) "pmem_tier: " fmt

#include <linux/module.h>
#include <linux/percpu.h>
#include <linux/preempt.h>
#include <linux/rcupdate.h>
#include <linux/vmalloc.h>

#include "core.h"

/* The reserve soft users leave alone, as a fraction of the pool. */
#define RESERVE_FRACTION	64

/*
 * Counting what is free takes a look at each section. So a soft user counts once for this
 * many pages, if that can't make a difference, and swap as often.
 */
#define CREDIT			32

/* How often a soft user is asked before swap gets nothing. */
#define GIVE_BACK_TRIES		16

/**
 * tier_pool_init() - set up the pool of a tier
 * @ns: the tier, with nr_pages and nid set
 *
 * Context: process context, may sleep.
 * Return: 0 or -ENOMEM.
 */
int tier_pool_init(struct tier_ns *ns)
{
	unsigned int nr_cpus = num_possible_cpus();
	unsigned int cpu, i = 0;
	int err;

	err = freemap_init(&ns->free, ns->tier.nr_pages, nr_cpus, ns->tier.nid);
	if (err)
		return err;

	err = -ENOMEM;
	ns->cached = vzalloc_node(BITS_TO_LONGS(ns->tier.nr_pages) *
				  sizeof(long), ns->tier.nid);
	if (!ns->cached)
		goto out_map;
	ns->cursor = alloc_percpu(unsigned long);
	if (!ns->cursor)
		goto out_cached;
	for_each_possible_cpu(cpu) {
		unsigned long *cursor = per_cpu_ptr(ns->cursor, cpu);

		*cursor = freemap_start(&ns->free, i++, nr_cpus);
	}

	ns->counts = alloc_percpu(struct tier_counts);
	if (!ns->counts)
		goto out_cursor;

	err = tier_wipe_init(ns);
	if (err)
		goto out_counts;

	ns->reserve_pages = ns->tier.nr_pages / RESERVE_FRACTION;
	return 0;

out_counts:
	free_percpu(ns->counts);
out_cursor:
	free_percpu(ns->cursor);
out_cached:
	vfree(ns->cached);
out_map:
	freemap_destroy(&ns->free);
	return err;
}

/**
 * tier_pool_destroy() - undo tier_pool_init()
 * @ns: the tier
 *
 * Context: process context, may sleep.
 */
void tier_pool_destroy(struct tier_ns *ns)
{
	tier_wipe_destroy(ns);
	free_percpu(ns->counts);
	free_percpu(ns->cursor);
	vfree(ns->cached);
	freemap_destroy(&ns->free);
}

/**
 * tier_pool_used() - pages that a user has
 * @ns: the tier
 * @user: the user
 *
 * Return: the number; exact when nobody takes or gives back pages meanwhile.
 */
unsigned long tier_pool_used(struct tier_ns *ns, enum pmem_tier_user user)
{
	long sum = 0;
	int cpu;

	for_each_possible_cpu(cpu)
		sum += READ_ONCE(per_cpu_ptr(ns->counts, cpu)->used[user]);
	return max(sum, 0L);
}

/**
 * pmem_tier_free_pages() - pages of a pool that are nobody's
 * @tier: the tier
 *
 * Context: any.
 * Return: the number, the reserve included.
 */
unsigned long pmem_tier_free_pages(struct pmem_tier *tier)
{
	return freemap_nr_free(&to_tier_ns(tier)->free);
}
EXPORT_SYMBOL_GPL(pmem_tier_free_pages);

/**
 * tier_pool_lent() - pages that mm holds references to
 * @ns: the tier
 *
 * Return: the number; exact when none is lent or returned meanwhile.
 */
unsigned long tier_pool_lent(struct tier_ns *ns)
{
	long sum = 0;
	int cpu;

	for_each_possible_cpu(cpu)
		sum += READ_ONCE(per_cpu_ptr(ns->counts, cpu)->lent);
	return max(sum, 0L);
}

/**
 * tier_pool_idle() - is every page back?
 * @ns: the tier
 *
 * Return: true when no user holds a page and none is lent.
 */
bool tier_pool_idle(struct tier_ns *ns)
{
	int i;

	for (i = 0; i < PMEM_TIER_NR_USERS; i++)
		if (tier_pool_used(ns, i))
			return false;
	return !tier_pool_lent(ns);
}

/**
 * tier_pool_mark_bad() - pages in a range of the namespace must not be used
 * @ns: the tier
 * @offset: where the bad range begins, in bytes from the start of the namespace
 * @bytes: how long it is
 *
 * What lies outside the pool is ignored, but that a guard area is bad is noted.
 *
 * Context: any.
 * Return: true when nobody has, or will have, any page in the range: all were free.
 */
bool tier_pool_mark_bad(struct tier_ns *ns, u64 offset, u64 bytes)
{
	enum freemap_mark was;
	u64 pool, index, end;
	bool free;

	if (offset < PAGE_SIZE)
		WRITE_ONCE(ns->header_bad, true);
	if (offset < GUARD_BYTES || offset + bytes > ns->size - GUARD_BYTES)
		WRITE_ONCE(ns->guard_bad, true);
	/* Where the pool begins isn't known before. Pairs with tier_set_up(). */
	if (!smp_load_acquire(&ns->pool_ready))
		return false;
	pool = PFN_PHYS(ns->tier.first_pfn) - ns->phys;
	if (offset + bytes <= pool)
		return false;
	end = min_t(u64, DIV_ROUND_UP_ULL(offset + bytes - pool, PAGE_SIZE),
		    ns->tier.nr_pages);
	index = offset <= pool ? 0 : (offset - pool) >> PAGE_SHIFT;
	free = index < end;
	WRITE_ONCE(ns->tier.has_bad, true);
	for (; index < end; index++) {
		was = freemap_mark_bad(&ns->free, index);
		free &= was == FREEMAP_WAS_FREE;
		if (was != FREEMAP_WAS_BAD)
			pr_warn_ratelimited("%s: page %llu of the pool is bad and won't be handed out\n",
					    ns->tier.name, index);
	}
	return free;
}

/* Another CPU's cursor after a migration is as good: it is a hint. */
static __always_inline long get_free(struct tier_ns *ns)
{
	unsigned long *cursor = raw_cpu_ptr(ns->cursor);
	long index = freemap_get(&ns->free, cursor, 0);

	if (unlikely(index < 0) && ns->wipe == WIPE_FREE)
		index = tier_wipe_take(ns, cursor);
	return index;
}

/* Few pages are free beyond the reserve, or swap has eaten into it. */
static noinline void warn_soft(struct tier_ns *ns)
{
	struct pmem_tier_client *soft;

	rcu_read_lock();
	soft = rcu_dereference(ns->soft);
	if (soft)
		soft->low(&ns->tier);
	rcu_read_unlock();
}

/*
 * To count what is free takes as long as there are sections, so a CPU does it once for CREDIT
 * pages. What CPUs may have credit for comes on top of the reserve.
 */
static noinline bool count_soft(struct tier_ns *ns)
{
	unsigned long free = freemap_nr_free(&ns->free);
	unsigned long reserve = READ_ONCE(ns->reserve_pages);

	if (free > reserve + 2UL * CREDIT * num_online_cpus()) {
		this_cpu_write(ns->counts->credit, CREDIT - 1);
		return true;
	}
	warn_soft(ns);
	if (free > reserve)
		return true;
	this_cpu_write(ns->counts->credit, 1 - CREDIT);
	return false;
}

static bool may_take_soft(struct tier_ns *ns)
{
	int credit = this_cpu_read(ns->counts->credit);

	if (likely(credit > 0)) {
		this_cpu_dec(ns->counts->credit);
		return true;
	}
	if (!credit)
		return count_soft(ns);
	this_cpu_inc(ns->counts->credit);
	return false;
}

static long alloc_soft(struct tier_ns *ns)
{
	long index;

	/* Its client is told of each page that is freed. */
	if (unlikely(!rcu_access_pointer(ns->soft)) || !may_take_soft(ns))
		return -ENOSPC;
	index = get_free(ns);
	if (index >= 0)
		set_bit(index, ns->cached);
	return index;
}

/* Nothing is free: the page cache has to give something back. */
static noinline long ask_soft(struct tier_ns *ns)
{
	struct pmem_tier_client *soft;
	long index = -ENOSPC;
	int i;

	/* Its locks of the page cache enable interrupts. */
	if (irqs_disabled() || in_interrupt())
		return index;
	rcu_read_lock();
	soft = rcu_dereference(ns->soft);
	for (i = 0; soft && index < 0 && i < GIVE_BACK_TRIES; i++) {
		/* Another CPU may be faster than we are to take it. */
		if (!soft->give_back(&ns->tier))
			break;
		index = get_free(ns);
	}
	if (soft)
		soft->low(&ns->tier);
	rcu_read_unlock();
	return index;
}

static __always_inline long alloc_hard(struct tier_ns *ns)
{
	long index = get_free(ns);

	if (likely(!rcu_access_pointer(ns->soft)))
		return index;
	if (unlikely(index < 0))
		return ask_soft(ns);
	if (!(this_cpu_inc_return(ns->counts->drawn) % CREDIT) &&
	    freemap_nr_free(&ns->free) < READ_ONCE(ns->reserve_pages))
		warn_soft(ns);
	return index;
}

/**
 * pmem_tier_alloc() - take a page from the pool
 * @tier: the tier
 * @user: what for
 *
 * The page's refcount is 0 and stays so: the pool's pages aren't mm's until
 * they are lent. Its content is undefined.
 *
 * Context: any; doesn't sleep or allocate memory, so it can be used in reclaim. For
 * swap, when no page is free and interrupts are enabled, the page cache gives one
 * back: that takes i_lock of an inode and its i_pages lock.
 * Return: the page's index, or -ENOSPC when none is free (for a soft user: none
 * beyond the reserve).
 */
long pmem_tier_alloc(struct pmem_tier *tier, enum pmem_tier_user user)
{
	struct tier_ns *ns = to_tier_ns(tier);
	long index = user == PMEM_TIER_SWAP ? alloc_hard(ns) : alloc_soft(ns);

	if (index >= 0) {
		this_cpu_inc(ns->counts->used[user]);
		/* Once it is set it stays. */
		if (unlikely(!test_bit(index >> WIPE_CHUNK_SHIFT,
				       ns->handed_out)))
			set_bit(index >> WIPE_CHUNK_SHIFT, ns->handed_out);
	}
	return index;
}
EXPORT_SYMBOL_GPL(pmem_tier_alloc);

/**
 * pmem_tier_free() - give a page back to the pool
 * @tier: the tier
 * @index: what pmem_tier_alloc() returned
 * @user: what it was allocated for
 *
 * Context: any, interrupts in any state; doesn't sleep or take locks.
 */
void pmem_tier_free(struct pmem_tier *tier, unsigned long index,
		    enum pmem_tier_user user)
{
	struct tier_ns *ns = to_tier_ns(tier);

	this_cpu_dec(ns->counts->used[user]);
	if (user != PMEM_TIER_SWAP)
		clear_bit(index, ns->cached);
	if (unlikely(ns->wipe == WIPE_FREE))
		tier_wipe_later(ns, index);
	else
		freemap_put(&ns->free, index);
}
EXPORT_SYMBOL_GPL(pmem_tier_free);

/**
 * pmem_tier_reserve_pages() - free pages that soft users leave alone
 * @tier: the tier
 *
 * Context: any.
 * Return: the number.
 */
unsigned long pmem_tier_reserve_pages(struct pmem_tier *tier)
{
	return READ_ONCE(to_tier_ns(tier)->reserve_pages);
}
EXPORT_SYMBOL_GPL(pmem_tier_reserve_pages);

/**
 * pmem_tier_used_pages() - pages that a user has
 * @tier: the tier
 * @user: the user
 *
 * Context: any.
 * Return: the number; exact when nobody takes or gives back pages meanwhile.
 */
unsigned long pmem_tier_used_pages(struct pmem_tier *tier,
				   enum pmem_tier_user user)
{
	return tier_pool_used(to_tier_ns(tier), user);
}
EXPORT_SYMBOL_GPL(pmem_tier_used_pages);

/**
 * pmem_tier_index_cached() - does the page cache have a page?
 * @tier: the tier
 * @index: the page
 *
 * Context: any. Stays true for as long as the caller has a reference to the page.
 * Return: true when it was allocated for PMEM_TIER_CACHE.
 */
bool pmem_tier_index_cached(struct pmem_tier *tier, unsigned long index)
{
	return test_bit(index, to_tier_ns(tier)->cached);
}
EXPORT_SYMBOL_GPL(pmem_tier_index_cached);

/**
 * pmem_tier_next_cached() - the next page that the page cache has
 * @tier: the tier
 * @from: where to begin, at most nr_pages
 *
 * Context: any.
 * Return: its index, or nr_pages when there is none.
 */
unsigned long pmem_tier_next_cached(struct pmem_tier *tier, unsigned long from)
{
	/* Pages come and go: what is found is a hint. */
	return data_race(find_next_bit(to_tier_ns(tier)->cached, tier->nr_pages,
				       from));
}
EXPORT_SYMBOL_GPL(pmem_tier_next_cached);

/**
 * __pmem_tier_index_bad() - pmem_tier_index_bad() where some page is bad
 * @tier: the tier
 * @index: the page, in use by the caller
 *
 * Context: any.
 * Return: true when this one is.
 */
bool __pmem_tier_index_bad(struct pmem_tier *tier, unsigned long index)
{
	return freemap_is_bad(&to_tier_ns(tier)->free, index);
}
EXPORT_SYMBOL_GPL(__pmem_tier_index_bad);

/**
 * pmem_tier_mark_bad() - the media failed in a page
 * @tier: the tier
 * @index: the page, in use by the caller
 *
 * It isn't used again, by a later claim neither.
 *
 * Context: any.
 */
void pmem_tier_mark_bad(struct pmem_tier *tier, unsigned long index)
{
	struct tier_ns *ns = to_tier_ns(tier);
	unsigned long pfn = tier->first_pfn + index;

	tier_badblocks_failed(pfn, GFP_ATOMIC);
	tier_pool_mark_bad(ns, PFN_PHYS(pfn) - ns->phys, PAGE_SIZE);
}
EXPORT_SYMBOL_GPL(pmem_tier_mark_bad);

/**
 * pmem_tier_account_metadata() - account DRAM that a client spends on a tier
 * @tier: the tier
 * @bytes: bytes, negative when they are freed
 *
 * Shows in the tier's metadata_bytes.
 *
 * Context: any.
 */
void pmem_tier_account_metadata(struct pmem_tier *tier, long bytes)
{
	atomic_long_add(bytes, &to_tier_ns(tier)->metadata_bytes);
}
EXPORT_SYMBOL_GPL(pmem_tier_account_metadata);
