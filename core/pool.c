// SPDX-License-Identifier: GPL-2.0-only
/*
 * The page pool of a tier: users, counts and the reserve.
 */
#define pr_fmt(fmt) "pmem_tier: " fmt

#include <linux/module.h>
#include <linux/percpu.h>

#include "core.h"

/* The reserve soft users leave alone, as a fraction of the pool. */
#define RESERVE_FRACTION	64

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
	ns->cursor = alloc_percpu(unsigned long);
	if (!ns->cursor)
		goto out_map;
	for_each_possible_cpu(cpu) {
		unsigned long *cursor = per_cpu_ptr(ns->cursor, cpu);

		*cursor = freemap_start(&ns->free, i++, nr_cpus);
	}

	ns->counts = alloc_percpu(struct tier_counts);
	if (!ns->counts)
		goto out_cursor;

	ns->reserve_pages = ns->tier.nr_pages / RESERVE_FRACTION;
	return 0;

out_cursor:
	free_percpu(ns->cursor);
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
	free_percpu(ns->counts);
	free_percpu(ns->cursor);
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
 * What lies outside the pool (guard areas, memory map) is ignored.
 *
 * Context: process context.
 */
void tier_pool_mark_bad(struct tier_ns *ns, u64 offset, u64 bytes)
{
	u64 pool = PFN_PHYS(ns->tier.first_pfn) - ns->phys;
	u64 index, end;

	if (offset < PAGE_SIZE)
		WRITE_ONCE(ns->header_bad, true);
	/* Pairs with tier_set_up(). */
	if (!smp_load_acquire(&ns->pool_ready))
		return;
	if (offset + bytes <= pool)
		return;
	end = min_t(u64, DIV_ROUND_UP_ULL(offset + bytes - pool, PAGE_SIZE),
		    ns->tier.nr_pages);
	index = offset <= pool ? 0 : (offset - pool) >> PAGE_SHIFT;
	WRITE_ONCE(ns->tier.has_bad, true);
	for (; index < end; index++)
		if (freemap_mark_bad(&ns->free, index))
			pr_warn_ratelimited("%s: page %llu of the pool is bad and won't be handed out\n",
					    ns->tier.name, index);
}

/**
 * pmem_tier_alloc() - take a page from the pool
 * @tier: the tier
 * @user: what for
 *
 * The page's refcount is 0 and stays so: the pool's pages aren't mm's until
 * they are lent. Its content is undefined.
 *
 * Context: any, interrupts in any state; doesn't sleep, take locks or allocate
 * memory, so it can be used in reclaim.
 * Return: the page's index, or -ENOSPC when none is free (for a soft user: none
 * beyond the reserve).
 */
long pmem_tier_alloc(struct pmem_tier *tier, enum pmem_tier_user user)
{
	struct tier_ns *ns = to_tier_ns(tier);
	unsigned long reserve = 0;
	long index;

	if (user != PMEM_TIER_SWAP)
		reserve = READ_ONCE(ns->reserve_pages);
	/* Another CPU's cursor after a migration is as good: it is a hint. */
	index = freemap_get(&ns->free, raw_cpu_ptr(ns->cursor), reserve);
	if (index >= 0)
		this_cpu_inc(ns->counts->used[user]);
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
	freemap_put(&ns->free, index);
}
EXPORT_SYMBOL_GPL(pmem_tier_free);

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
 * Context: any.
 */
void pmem_tier_mark_bad(struct pmem_tier *tier, unsigned long index)
{
	struct tier_ns *ns = to_tier_ns(tier);

	tier_pool_mark_bad(ns, PFN_PHYS(tier->first_pfn + index) - ns->phys,
			   PAGE_SIZE);
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
