/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Inside pmemswap: a swap device and its parts.
 */
#ifndef _PMEMSWAP_H
#define _PMEMSWAP_H

#include <linux/blkdev.h>
#include <linux/jiffies.h>
#include <linux/llist.h>
#include <linux/log2.h>
#include <linux/mm_types.h>
#include <linux/percpu.h>
#include <linux/static_call.h>
#include <linux/swap.h>
#include <linux/workqueue.h>
#include <pmem_tier/hooks.h>
#include <pmem_tier/tier.h>

#include "slots.h"

/**
 * enum ps_fallback - why a swap fault doesn't map, and copies
 * @PS_FALLBACK_NONE: it maps
 * @PS_FALLBACK_OFF: map_faults says so
 * @PS_FALLBACK_VMA: mlocked, droppable or a shadow stack
 * @PS_FALLBACK_PIN: for a long-term pin, which device memory can't have
 * @PS_FALLBACK_SHARED: several processes, or a file in tmpfs, refer to the entry
 * @PS_FALLBACK_CACHED: the page is in the swap cache
 * @PS_FALLBACK_FILLED: the slot has no page: same-filled
 * @PS_FALLBACK_PACKED: the slot's data is compressed
 * @PS_FALLBACK_SWAPOFF: swapoff is under way
 * @PS_FALLBACK_MEDIA: the slot's page is bad
 * @PS_FALLBACK_RACE: another thread was faster: nothing is left to do
 * @PS_NR_FALLBACKS: number of them
 */
enum ps_fallback {
	PS_FALLBACK_NONE,
	PS_FALLBACK_OFF,
	PS_FALLBACK_VMA,
	PS_FALLBACK_PIN,
	PS_FALLBACK_SHARED,
	PS_FALLBACK_CACHED,
	PS_FALLBACK_FILLED,
	PS_FALLBACK_PACKED,
	PS_FALLBACK_SWAPOFF,
	PS_FALLBACK_MEDIA,
	PS_FALLBACK_RACE,
	PS_NR_FALLBACKS,
};

/**
 * enum ps_stat - what is counted, per CPU
 * @PS_WRITTEN: pages written
 * @PS_SAME_FILLED: of those, stored without a page
 * @PS_COPIED_IN: pages read by copying
 * @PS_DECOMPRESSED_IN: of those, decompressed
 * @PS_MAPPED_IN: pages brought in by mapping, on their own fault
 * @PS_MAPPED_AROUND: pages mapped in with a neighbour's fault
 * @PS_LENT: change in the number of slots whose page is lent
 * @PS_SHARED: of those, change in the number of shared ones
 * @PS_UNLENT: lent pages that became swapped out ones in place
 * @PS_PROMOTED: lent pages that moved to DRAM because they were hot
 * @PS_TAKEN_BACK: lent pages that moved to DRAM because the pool was low
 * @PS_DISCARDED: slots emptied by discard or write-zeroes
 * @PS_FREED: slots emptied because the kernel freed the swap entry
 * @PS_FAILED_WRITE_FULL: page writes refused for want of a page
 * @PS_REFUSED: times that the kernel was told that the device is full
 * @PS_FAILED_READ_MEDIA: page reads failed by the media
 * @PS_FAILED_READ_DAMAGED: page reads of compressed data that isn't what was stored
 * @PS_FAILED_WRITE_MEDIA: page writes failed by the media
 * @PS_SLOTS_RAW: change in the number of raw slots
 * @PS_SLOTS_SAME: change in the number of same-filled slots
 * @PS_SLOTS_PACKED: change in the number of compressed slots
 * @PS_PACKED_BYTES: change in the sum of what zstd made of them
 * @PS_COMPRESS_RACES: slots that changed while they were compressed
 * @PS_FALLBACKS: the first of faults that didn't map, by enum ps_fallback
 * @PS_NR_STATS: number of them
 */
enum ps_stat {
	PS_WRITTEN,
	PS_SAME_FILLED,
	PS_COPIED_IN,
	PS_DECOMPRESSED_IN,
	PS_MAPPED_IN,
	PS_MAPPED_AROUND,
	PS_LENT,
	PS_SHARED,
	PS_UNLENT,
	PS_PROMOTED,
	PS_TAKEN_BACK,
	PS_DISCARDED,
	PS_FREED,
	PS_FAILED_WRITE_FULL,
	PS_REFUSED,
	PS_FAILED_READ_MEDIA,
	PS_FAILED_READ_DAMAGED,
	PS_FAILED_WRITE_MEDIA,
	PS_SLOTS_RAW,
	PS_SLOTS_SAME,
	PS_SLOTS_PACKED,
	PS_PACKED_BYTES,
	PS_COMPRESS_RACES,
	PS_FALLBACKS,
	PS_NR_STATS = PS_FALLBACKS + PS_NR_FALLBACKS,
};

struct ps_stats {
	s64 count[PS_NR_STATS];
};

/* Swap entries of returned pages that are freed together. */
#define PS_FREE_BATCH	256

/**
 * struct pmemswap - one swap device
 * @tier: the tier its pages come from
 * @disk: the block device
 * @id: N of pmemswapN
 * @nr_slots: its size in slots
 * @slots: one word for each slot; each has its own lock, see slots.h
 * @stats: counters
 * @node: on the list of devices
 * @closing: nobody may open the device any more; under disk->open_mutex
 * @going: it is being removed, and there is no way back
 * @map_faults: which faults may map, enum ps_map_faults
 * @fault_around_pages: pages that one fault may map
 * @si: the kernel's swap_info_struct since a page was first written or lent; these
 *	are never freed, but may be another device's by now
 * @returned: pages mm is done with, linked through zone_device_data
 * @return_work: frees their swap entries
 * @freeing: entries that return_work frees next
 * @orphans: pages lent whose slot is gone, plus one while swapoff looks for them
 * @upkeep_work: looks after lent pages
 * @upkeep_last: when it last did, in jiffies
 * @upkeep_on: it is about to
 * @promote_pages_per_second: pages that upkeep may move to DRAM; 0: none
 * @promote_at: index of the page where looking for hot ones goes on; upkeep's
 * @low_at: index of the page where taking back for a low pool goes on; upkeep's
 * @compress: all about compressed slots
 * @full_node: on full.c's list of those that say that they are full
 * @full_si: what the kernel knows it as, since it last did
 * @full_at: when it was last found full, in jiffies
 */
struct pmemswap {
	struct pmem_tier *tier;
	struct gendisk *disk;
	int id;
	unsigned long nr_slots;
	struct slot *slots;
	struct ps_stats __percpu *stats;
	struct list_head node;
	bool closing;
	bool going;
	int map_faults;
	unsigned int fault_around_pages;
	struct swap_info_struct *si;
	struct llist_head returned;
	struct work_struct return_work;
	swp_entry_t freeing[PS_FREE_BATCH];
	atomic_long_t orphans;
	struct delayed_work upkeep_work;
	unsigned long upkeep_last;
	int upkeep_on;
	unsigned int promote_pages_per_second;
	unsigned long promote_at;
	unsigned long low_at;
	struct ps_compress *compress;
	struct list_head full_node;
	struct swap_info_struct *full_si;
	unsigned long full_at;
};

/**
 * enum ps_map_faults - which swap faults map the pmem page
 * @PS_MAP_OFF: none, all copy
 * @PS_MAP_READ: read faults
 * @PS_MAP_ALL: read and write faults
 */
enum ps_map_faults {
	PS_MAP_OFF,
	PS_MAP_READ,
	PS_MAP_ALL,
};

static inline void ps_count(struct pmemswap *ps, enum ps_stat stat, long n)
{
	this_cpu_add(ps->stats->count[stat], n);
}

/*
 * Slots are stamped with the time in units of about 1/16 s: enough for many hours, see
 * SLOT_STAMP_MASK.
 */
#define PS_STAMP_SHIFT	ilog2(HZ / 8)

static inline unsigned long ps_stamp(void)
{
	return jiffies / BIT(PS_STAMP_SHIFT);
}

/* How many units that is, at least. */
static inline unsigned long ps_stamps(unsigned long in_jiffies)
{
	return (in_jiffies + BIT(PS_STAMP_SHIFT) - 1) >> PS_STAMP_SHIFT;
}

/* The word of a raw slot that is written or read just now. */
static inline unsigned long ps_raw_word(unsigned long page)
{
	return slot_raw(page, ps_stamp());
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
void ps_devices_gone(void);
void ps_each_device(void (*fn)(struct pmemswap *ps));

/* header.c */
void ps_header_fill(const struct pmemswap *ps, void *page);

/* tramp.S: what ftrace calls, and the handlers that it calls */
void ps_tramp_fault(void);
void ps_tramp_zswap_store(void);
void ps_tramp_swapoff(void);
void ps_tramp_scan(void);
asmlinkage unsigned int ps_hook_fault(struct vm_fault *vmf);
asmlinkage unsigned int ps_hook_zswap_store(struct folio *folio);
asmlinkage unsigned int ps_hook_swapoff(void);
asmlinkage unsigned int ps_hook_scan(struct swap_info_struct *si);

/* charge.c */
int ps_charge_init(void);
struct mem_cgroup *ps_charge_find(swp_entry_t entry);
bool ps_charge_same(swp_entry_t a, swp_entry_t b);
bool ps_charge_move(struct page *page, struct mem_cgroup *memcg,
		    gfp_t patience);
void ps_charge_stay(struct page *page);

/* map_in.c */
DECLARE_STATIC_CALL(ps_get_swap_device, get_swap_device);
extern struct pmem_tier_feature ps_map_in_feature;
struct swap_info_struct *ps_get_si(struct pmemswap *ps);
struct pmemswap *ps_of_si(const struct swap_info_struct *si);
bool ps_vma_may_map(struct vm_area_struct *vma);
void ps_map_in_init(void);
int ps_map_in_enable(void);
void ps_map_in_exit(void);

/* full.c */
void ps_full_enable(void);
void ps_full_setup(struct pmemswap *ps);
bool ps_is_full(struct pmemswap *ps);
void ps_full_end(struct pmemswap *ps);
void ps_full_init(void);
void ps_full_exit(void);

/* unuse.c */
extern struct mm_struct *ps_first_mm;
extern spinlock_t *ps_mmlist_lock;
int ps_unuse_init(void);
void ps_unuse(struct pmemswap *ps, struct swap_info_struct *si);

/* shared.c */
void ps_settle(struct pmemswap *ps);
bool ps_shared_leave(struct pmemswap *ps, swp_entry_t entry);
bool ps_shared_refers(struct pmemswap *ps, struct page *page);
bool ps_shared_let_go(struct pmemswap *ps, struct page *page);
void ps_shared_keep(struct pmemswap *ps, struct page *page);

/* take_back.c */
DECLARE_STATIC_CALL(ps_free_swap_and_cache_nr, free_swap_and_cache_nr);
void ps_orphan(struct pmemswap *ps);
int ps_take_back_init(void);
void ps_take_back_exit(void);
void ps_take_back_setup(struct pmemswap *ps);
void ps_page_free(struct pmem_tier *tier, struct page *page);
struct mem_cgroup *ps_lent_memcg(struct pmemswap *ps, struct page *page);
int ps_take_back_enable(void);
void ps_take_back_disable(void);

/* drain.c */
int ps_drain_init(void);
s64 ps_drain(struct pmemswap *ps);
unsigned long ps_drain_pages(struct pmemswap *ps, const unsigned long *pfn,
			     unsigned int nr, gfp_t gfp, bool room);
int ps_drain_page(struct pmemswap *ps, unsigned long pfn);
int ps_drain_wait(struct pmemswap *ps);

/* long_pin.c */
int ps_long_pin(struct pmem_tier *tier, unsigned long index);

/* poison.c */
bool ps_poisoned(struct pmem_tier *tier, unsigned long index, int flags);
void ps_poison_enable(void);
void ps_poison_init(void);
void ps_poison_exit(void);

/* unlend.c */
int ps_unlend(struct pmemswap *ps);
void ps_unlend_enable(void);
void ps_unlend_init(void);
void ps_unlend_exit(void);

/* promote.c */
unsigned long ps_promote(struct pmemswap *ps, unsigned long budget);
void ps_promote_enable(void);
void ps_promote_init(void);
void ps_promote_exit(void);

/* upkeep.c */
void ps_upkeep_start(struct pmemswap *ps);
void ps_upkeep_setup(struct pmemswap *ps);
void ps_upkeep_end(struct pmemswap *ps);
int ps_upkeep_init(void);
void ps_upkeep_exit(void);

/* holders.c */
void ps_report_holders(struct pmemswap *ps);

/* hibernate.c */
int ps_hibernate_init(void);
void ps_hibernate_exit(void);

/* sysfs.c */
s64 ps_slots_used(struct pmemswap *ps);
s64 ps_lent_pages(struct pmemswap *ps);
s64 ps_shared_pages(struct pmemswap *ps);
extern const struct attribute_group *ps_disk_groups[];

#endif /* _PMEMSWAP_H */
