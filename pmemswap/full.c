// SPDX-License-Identifier: GPL-2.0-only
/*
 * A device without a page left is full, whatever slots it has: the next swap device's turn.
 */

/**
 * DOC: full devices
 *
 * Only a device that is larger than its pool can have slots and no page for them. Its writes would
 * fail, one by one, and the pages stay in DRAM with a slot each, to be written to it again. So the
 * kernel's search for slots in it is hooked, and finds none while there is hardly a page
 * left: then it goes on to the next device, or gives up at once.
 *
 * That search goes round and round devices of the same priority that find nothing, because such
 * a device soon leaves the list of those that have slots. One that is full in this way doesn't.
 * So it is only one at a time that may say so.
 */

#include <linux/minmax.h>
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

/* The device that says that it is full. */
static struct pmemswap *full_one;

/* What the page cache has, swap can have. */
static bool is_full(struct pmemswap *ps)
{
	unsigned long nr = ps->tier->nr_pages;
	unsigned long enough = min(num_online_cpus() * CPU_SLOTS,
				   nr / SLOTS_PART);

	return pmem_tier_free_pages(ps->tier) <= enough &&
	       pmem_tier_used_pages(ps->tier, PMEM_TIER_CACHE) <= enough;
}

static bool may_say_so(struct pmemswap *ps)
{
	return READ_ONCE(full_one) == ps || !cmpxchg(&full_one, NULL, ps);
}

/*
 * In place of scan_swap_map_slots(): 0, nothing found, or PMEM_TIER_HOOK_PASS to have it run.
 * Under the lock of the kernel's device.
 */
asmlinkage unsigned int ps_hook_scan(struct swap_info_struct *si)
{
	unsigned int ret = PMEM_TIER_HOOK_PASS;
	struct pmemswap *ps;

	pmem_tier_hook_enter(&scan_hook);
	ps = ps_of_si(si);
	if (!ps || ps->nr_slots <= ps->tier->nr_pages)
		goto out;
	if (!is_full(ps)) {
		if (unlikely(READ_ONCE(full_one) == ps))
			WRITE_ONCE(full_one, NULL);
		goto out;
	}
	ps_compress_kick(ps);
	if (may_say_so(ps)) {
		ps_count(ps, PS_REFUSED, 1);
		ret = 0;
	}
out:
	pmem_tier_hook_exit(&scan_hook);
	return ret;
}

/**
 * ps_full_setup() - prepare a device for being full
 * @ps: the device, with its slots
 *
 * Context: process context, may sleep.
 */
void ps_full_setup(struct pmemswap *ps)
{
	if (ps->nr_slots <= ps->tier->nr_pages)
		return;
	mutex_lock(&enable_lock);
	if (!scan_hook.installed &&
	    !pmem_tier_hook_install(&scan_hook, &full_feature))
		pmem_tier_feature_on(&full_feature);
	mutex_unlock(&enable_lock);
}

/**
 * ps_full_end() - undo ps_full_setup()
 * @ps: the device, which isn't swapped on
 *
 * Context: any.
 */
void ps_full_end(struct pmemswap *ps)
{
	cmpxchg(&full_one, ps, NULL);
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
