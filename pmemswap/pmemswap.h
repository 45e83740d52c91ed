/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Inside pmemswap: a swap device and its parts.
 */
#ifndef _PMEMSWAP_H
#define _PMEMSWAP_H

#include <linux/blkdev.h>
#include <linux/percpu.h>
#include <pmem_tier/tier.h>

#include "slots.h"

/**
 * enum ps_stat - what is counted, per CPU
 * @PS_WRITTEN: pages written
 * @PS_SAME_FILLED: of those, stored without a page
 * @PS_COPIED_IN: pages read by copying
 * @PS_MAPPED_IN: pages brought in by mapping
 * @PS_DISCARDED: slots emptied by discard or write-zeroes
 * @PS_FREED: slots emptied because the kernel freed the swap entry
 * @PS_FAILED_WRITE_FULL: page writes refused for want of a page
 * @PS_FAILED_READ_MEDIA: page reads failed by the media
 * @PS_FAILED_WRITE_MEDIA: page writes failed by the media
 * @PS_SLOTS_RAW: change in the number of raw slots
 * @PS_SLOTS_SAME: change in the number of same-filled slots
 * @PS_NR_STATS: number of them
 */
enum ps_stat {
	PS_WRITTEN,
	PS_SAME_FILLED,
	PS_COPIED_IN,
	PS_MAPPED_IN,
	PS_DISCARDED,
	PS_FREED,
	PS_FAILED_WRITE_FULL,
	PS_FAILED_READ_MEDIA,
	PS_FAILED_WRITE_MEDIA,
	PS_SLOTS_RAW,
	PS_SLOTS_SAME,
	PS_NR_STATS,
};

struct ps_stats {
	s64 count[PS_NR_STATS];
};

/**
 * struct pmemswap - one swap device
 * @tier: the tier its pages come from
 * @disk: the block device
 * @id: N of pmemswapN
 * @nr_slots: its size in slots
 * @slots: one word for each slot; each has its own lock, see slots.h
 * @stats: counters
 * @opener: process that opened the device when nobody else had it open; under
 *	disk->open_mutex
 * @closing: nobody may open the device any more; under disk->open_mutex
 */
struct pmemswap {
	struct pmem_tier *tier;
	struct gendisk *disk;
	int id;
	unsigned long nr_slots;
	struct slot *slots;
	struct ps_stats __percpu *stats;
	struct pid *opener;
	bool closing;
};

static inline void ps_count(struct pmemswap *ps, enum ps_stat stat, long n)
{
	this_cpu_add(ps->stats->count[stat], n);
}

/* main.c */
unsigned long ps_param_size(int id);

/* blk.c */
extern const struct block_device_operations ps_fops;
int ps_bounce_init(void);
void ps_bounce_exit(void);
bool ps_in_use(struct pmemswap *ps);

/* store.c */
blk_status_t ps_store(struct pmemswap *ps, unsigned long index,
		      const void *src);
blk_status_t ps_load(struct pmemswap *ps, unsigned long index, void *dst);
bool ps_empty(struct pmemswap *ps, unsigned long index);
void ps_zero(struct pmemswap *ps, unsigned long index);
void ps_swap_slot_free_notify(struct block_device *bdev, unsigned long index);

/* device.c */
int ps_device_add(struct pmem_tier *tier);
void ps_device_remove(struct pmem_tier *tier);
void ps_device_free(struct pmemswap *ps);

/* header.c */
void ps_header_fill(const struct pmemswap *ps, void *page);

/* sysfs.c */
extern const struct attribute_group *ps_disk_groups[];

#endif /* _PMEMSWAP_H */
