// SPDX-License-Identifier: GPL-2.0-only
/*
 * A swap device for each tier: make it, take it away.
 */
#define pr_fmt(fmt) "pmemswap: " fmt

#include <linux/idr.h>
#include <linux/module.h>
#include <linux/sizes.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>
#include <linux/wait_bit.h>

#include "compress.h"
#include "pmemswap.h"

/* How far the logical size may exceed the pool. */
#define OVERSIZE_MAX	16

static DEFINE_IDA(device_ids);
static atomic_t nr_devices = ATOMIC_INIT(0);

/* devices_lock protects devices. Taken under tier_lock, and by swapoff. */
static DEFINE_MUTEX(devices_lock);
static LIST_HEAD(devices);

/**
 * ps_each_device() - do something for each device
 * @fn: what
 *
 * Context: process context, may sleep. No device appears or goes meanwhile.
 */
void ps_each_device(void (*fn)(struct pmemswap *ps))
{
	struct pmemswap *ps;

	mutex_lock(&devices_lock);
	list_for_each_entry(ps, &devices, node)
		fn(ps);
	mutex_unlock(&devices_lock);
}

static void list_device(struct pmemswap *ps)
{
	mutex_lock(&devices_lock);
	list_add_tail(&ps->node, &devices);
	mutex_unlock(&devices_lock);
}

static void unlist_device(struct pmemswap *ps)
{
	mutex_lock(&devices_lock);
	list_del(&ps->node);
	mutex_unlock(&devices_lock);
}

static size_t slots_bytes(const struct pmemswap *ps)
{
	return ps->nr_slots * sizeof(*ps->slots);
}

static int choose_size(struct pmemswap *ps)
{
	u64 bytes = ps_param_size(ps->id);
	u64 pool = ps->tier->nr_pages;
	u64 slots = bytes >> PAGE_SHIFT;

	if (slots > pool * OVERSIZE_MAX) {
		pr_err("%s: no device: size=%llu not accepted for pmemswap%d: at most %llu (%d times the pool)\n",
		       ps->tier->name, bytes, ps->id,
		       (pool * OVERSIZE_MAX) << PAGE_SHIFT, OVERSIZE_MAX);
		return -EINVAL;
	}
	ps->nr_slots = slots ?: pool;
	return 0;
}

static int make_disk(struct pmemswap *ps)
{
	struct queue_limits lim = {
		.logical_block_size = PAGE_SIZE,
		.physical_block_size = PAGE_SIZE,
		.io_min = PAGE_SIZE,
		.io_opt = PAGE_SIZE,
		.max_hw_sectors = UINT_MAX,
		.max_hw_discard_sectors = UINT_MAX,
		.max_write_zeroes_sectors = UINT_MAX,
		.discard_granularity = PAGE_SIZE,
		/* As nd_pmem: the work is done when submit_bio returns. */
		.features = BLK_FEAT_SYNCHRONOUS,
	};
	struct gendisk *disk = blk_alloc_disk(&lim, ps->tier->nid);

	if (IS_ERR(disk))
		return PTR_ERR(disk);
	disk->fops = &ps_fops;
	disk->private_data = ps;
	disk->flags |= GENHD_FL_NO_PART;
	snprintf(disk->disk_name, sizeof(disk->disk_name), "pmemswap%d",
		 ps->id);
	set_capacity(disk, (sector_t)ps->nr_slots << (PAGE_SHIFT - SECTOR_SHIFT));
	ps->disk = disk;
	return 0;
}

/**
 * ps_device_free() - free a device's memory
 * @ps: the device, or what there is of it
 *
 * Context: process context, may sleep.
 */
void ps_device_free(struct pmemswap *ps)
{
	ps_compress_free(ps);
	vfree(ps->slots);
	free_percpu(ps->stats);
	if (ps->id >= 0)
		ida_free(&device_ids, ps->id);
	kfree(ps);
	if (atomic_dec_and_test(&nr_devices))
		wake_up_var(&nr_devices);
}

/**
 * ps_devices_gone() - wait until no device is left
 *
 * The block layer drops its reference to the module before the last one to the
 * disk, so ps_free_disk() may still be to come.
 *
 * Context: process context, may sleep; nobody has a device open.
 */
void ps_devices_gone(void)
{
	wait_var_event(&nr_devices, !atomic_read(&nr_devices));
}

/**
 * ps_device_add() - make the swap device of a tier
 * @tier: the tier
 *
 * Context: process context, may sleep.
 * Return: 0 or a negative error.
 */
int ps_device_add(struct pmem_tier *tier)
{
	struct pmemswap *ps;
	int err;

	ps = kzalloc(sizeof(*ps), GFP_KERNEL);
	if (!ps)
		return -ENOMEM;
	atomic_inc(&nr_devices);
	ps->tier = tier;
	ps_take_back_setup(ps);
	ps_upkeep_setup(ps);
	ps->id = ida_alloc(&device_ids, GFP_KERNEL);
	err = ps->id;
	if (err < 0)
		goto out_free;
	err = choose_size(ps);
	if (err)
		goto out_free;

	err = -ENOMEM;
	ps->stats = alloc_percpu(struct ps_stats);
	ps->slots = vzalloc_node(slots_bytes(ps), tier->nid);
	if (!ps->stats || !ps->slots)
		goto out_free;
	err = ps_compress_setup(ps);
	if (err)
		goto out_free;

	err = make_disk(ps);
	if (err)
		goto out_free;
	ps_full_setup(ps);
	/* Else it copies; the log and "features" say why. */
	if (!ps_map_in_enable())
		ps->map_faults = PS_MAP_ALL;
	tier->priv[PMEM_TIER_SWAP] = ps;
	pmem_tier_account_metadata(tier, slots_bytes(ps));
	/* Before anybody can swap it on, and off. */
	list_device(ps);
	/* The attributes are there before the uevent tells of the device. */
	err = device_add_disk(tier->dev, ps->disk, ps_disk_groups);
	if (err) {
		unlist_device(ps);
		/* Its files were there for a moment: somebody may have written to them. */
		ps_compress_end(ps);
		pmem_tier_account_metadata(tier, -slots_bytes(ps));
		tier->priv[PMEM_TIER_SWAP] = NULL;
		/* ->free_disk() is for disks that were added. */
		put_disk(ps->disk);
		goto out_free;
	}
	ps_state_add(ps);
	pr_info("%s: %s, %lu slots\n", ps->disk->disk_name, tier->name,
		ps->nr_slots);
	return 0;

out_free:
	ps_device_free(ps);
	return err;
}

/**
 * ps_device_remove() - take the swap device of a tier away
 * @tier: the tier, quiesced
 *
 * Every page is back in the pool on return.
 *
 * Context: process context, may sleep.
 */
void ps_device_remove(struct pmem_tier *tier)
{
	struct pmemswap *ps = tier->priv[PMEM_TIER_SWAP];
	unsigned long index;

	WRITE_ONCE(ps->going, true);
	unlist_device(ps);
	/* No page is lent, but some may not have been put away yet. */
	ps_upkeep_end(ps);
	flush_work(&ps->return_work);
	/* Waits for bios in flight; none can come after it. */
	del_gendisk(ps->disk);
	ps_state_del(ps);
	ps_compress_end(ps);
	ps_full_end(ps);
	for (index = 0; index < ps->nr_slots; index++) {
		ps_empty(ps, index);
		cond_resched();
	}
	pmem_tier_account_metadata(tier, -slots_bytes(ps));
	put_disk(ps->disk);	/* frees ps, by ps_free_disk() */
}
