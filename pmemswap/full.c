// SPDX-License-Identifier: GPL-2.0-only
/*
 * A device without a page left is full, whatever slots it has: the next swap device's turn.
 */

/**
 * DOC: full devices
 *
 * A device can have slots and no page for them when it is larger than its pool, or when it has
 * packed pages: what is freed there leaves a gap, and not at once a page. Its writes would
 * fail, one by one, and the pages stay in DRAM with a slot each, to be written to it again. So
 * the kernel's search for slots in it is hooked, and finds none while there is hardly a page
 * left: then it goes on to the next device, or gives up at once.
 *
 * That search goes round and round devices of the same priority that find nothing, because such
 * a device soon leaves the list of those that have slots. One that is full in this way doesn't.
 * So of each priority it is only one at a time that may say so. When it goes, or has
 * no slots either, another takes its place.
 */

#include <linux/jiffies.h>
#include <linux/list.h>
#include <linux/minmax.h>
#include <linux/nodemask.h>
#include <linux/spinlock.h>
#include <linux/swap.h>

#include "compress.h"
#include "pmemswap.h"

/* How many slots a CPU may have that aren't written yet. */
#define CPU_SLOTS	64

/* Even so much of the pool isn't given up for them. */
#define SLOTS_PART	64

static struct pmem_tier_hook scan_hook = {
	.prototype = "int scan_swap_map_slots(struct swap_info_struct *, unsigned char, int, swp_entry_t *, int)",
	.trampoline = ps_tramp_scan,
};

/* Without it writes fail, and the kernel tries again. */
static struct pmem_tier_feature full_feature = { .name = "next_device" };

/* enable_lock makes installing the hook one step. */
static DEFINE_MUTEX(enable_lock);

/* Protects the list of devices that say that they are full. Taken under swap_info_struct's lock. */
static DEFINE_SPINLOCK(full_lock);
static LIST_HEAD(full_devices);

/**
 * ps_is_full() - is hardly a page left?
 * @ps: the device
 *
 * What the page cache has, swap can have.
 *
 * Context: any.
 * Return: true when it is so.
 */
bool ps_is_full(struct pmemswap *ps)
{
	unsigned long nr = ps->tier->nr_pages;
	unsigned long enough = min(num_online_cpus() * CPU_SLOTS,
				   nr / SLOTS_PART);

	return pmem_tier_free_pages(ps->tier) <= enough &&
	       pmem_tier_used_pages(ps->tier, PMEM_TIER_CACHE) <= enough;
}

/* Has it slots without a page? */
static bool may_be_full(struct pmemswap *ps)
{
	return ps->nr_slots > ps->tier->nr_pages ||
	       atomic_long_read(&ps->compress->pack.nr_pages);
}

/* Counting takes a look at each CPU: those who come in a crowd are told the same. */
static bool is_full(struct pmemswap *ps)
{
	unsigned long now = jiffies;

	if (READ_ONCE(ps->full_at) == now)
		return true;
	if (!ps_is_full(ps))
		return false;
	WRITE_ONCE(ps->full_at, now);
	return true;
}

/* On any node: those without a priority of their own have the same on theirs. */
static bool same_priority(const struct swap_info_struct *a,
			  const struct swap_info_struct *b)
{
	int nid;

	for_each_node(nid)
		if (READ_ONCE(a->avail_lists[nid].prio) ==
		    READ_ONCE(b->avail_lists[nid].prio))
			return true;
	return false;
}

/* Does the search still come by it? The other devices' locks aren't held: this is a guess. */
static bool is_searched(const struct pmemswap *ps)
{
	const struct swap_info_struct *si = ps->full_si;

	return READ_ONCE(si->bdev) == ps->disk->part0 &&
	       READ_ONCE(si->flags) & SWP_WRITEOK && READ_ONCE(si->highest_bit);
}

static bool may_say_so(struct pmemswap *ps, struct swap_info_struct *si)
{
	struct pmemswap *other, *next;
	bool may = true;

	spin_lock(&full_lock);
	list_del_init(&ps->full_node);
	list_for_each_entry_safe(other, next, &full_devices, full_node) {
		if (!is_searched(other))
			list_del_init(&other->full_node);
		else if (same_priority(si, other->full_si))
			may = false;
	}
	if (may) {
		ps->full_si = si;
		list_add(&ps->full_node, &full_devices);
	}
	spin_unlock(&full_lock);
	return may;
}

/**
 * ps_hook_scan() - in place of scan_swap_map_slots()
 * @si: the kernel's device
 *
 * Context: under @si's lock; doesn't sleep.
 * Return: 0, nothing found; or PMEM_TIER_HOOK_PASS to have it run.
 */
asmlinkage unsigned int ps_hook_scan(struct swap_info_struct *si)
{
	unsigned int ret = PMEM_TIER_HOOK_PASS;
	struct pmemswap *ps;

	pmem_tier_hook_enter(&scan_hook);
	ps = ps_of_si(si);
	if (!ps || !may_be_full(ps))
		goto out;
	if (!is_full(ps)) {
		if (unlikely(!list_empty(&ps->full_node)))
			ps_full_end(ps);
		goto out;
	}
	ps_compress_kick(ps);
	if (may_say_so(ps, si)) {
		ps_count(ps, PS_REFUSED, 1);
		ret = 0;
	}
out:
	pmem_tier_hook_exit(&scan_hook);
	return ret;
}

/**
 * ps_full_enable() - there is a device now that may be full
 *
 * Context: process context, may sleep.
 */
void ps_full_enable(void)
{
	mutex_lock(&enable_lock);
	if (!scan_hook.installed &&
	    !pmem_tier_hook_install(&scan_hook, &full_feature))
		pmem_tier_feature_on(&full_feature);
	mutex_unlock(&enable_lock);
}

/**
 * ps_full_setup() - prepare a device for being full
 * @ps: the device, with its slots
 *
 * Context: process context, may sleep.
 */
void ps_full_setup(struct pmemswap *ps)
{
	INIT_LIST_HEAD(&ps->full_node);
	ps->full_at = jiffies - 1;
	if (ps->nr_slots > ps->tier->nr_pages)
		ps_full_enable();
}

/**
 * ps_full_end() - a device isn't full, or isn't there any more
 * @ps: the device
 *
 * Context: any but interrupts.
 */
void ps_full_end(struct pmemswap *ps)
{
	spin_lock(&full_lock);
	list_del_init(&ps->full_node);
	spin_unlock(&full_lock);
}

/**
 * ps_full_init() - set up what is needed for that
 *
 * Context: process context, may sleep.
 */
void ps_full_init(void)
{
	pmem_tier_feature_add(&full_feature);
}

/**
 * ps_full_exit() - undo ps_full_init()
 *
 * Context: process context, may sleep; no device is left.
 */
void ps_full_exit(void)
{
	pmem_tier_hook_remove(&scan_hook);
	pmem_tier_feature_del(&full_feature);
}
