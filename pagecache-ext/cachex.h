/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Inside pmem_cachex: its parts and what they share.
 */
#ifndef _PMEM_CACHEX_H
#define _PMEM_CACHEX_H

#include <linux/fs.h>
#include <linux/percpu.h>
#include <linux/rmap.h>
#include <linux/static_call.h>
#include <linux/swap.h>
#include <linux/workqueue.h>
#include <pmem_tier/hooks.h>
#include <pmem_tier/tier.h>

/**
 * enum cx_reject - why what is evicted doesn't go to pmem
 * @CX_REJECT_NONE: it does
 * @CX_REJECT_TARGET: no target covers it
 * @CX_REJECT_ENCRYPTED: fscrypt: its plaintext stays off persistent media
 * @CX_REJECT_DAX: its file lies in persistent memory already
 * @CX_REJECT_SWAPFILE: its file is swapped on
 * @CX_REJECT_KIND: no file or block device, or its filesystem wants to know of each page
 * @CX_REJECT_PAGE: not up to date, bad, with something of the filesystem's left, or maybe still in
 *	a TLB
 * @CX_REJECT_ADMISSION: nothing says that it will be used again
 * @CX_REJECT_LIMIT: max_pages says so
 * @CX_REJECT_FULL: no page is free beyond the reserve
 * @CX_REJECT_MEMORY: no memory for the nodes of the page cache's tree, or the kernel has too much
 *	of its cgroup's
 * @CX_NR_REJECTS: number of them
 */
enum cx_reject {
	CX_REJECT_NONE,
	CX_REJECT_TARGET,
	CX_REJECT_ENCRYPTED,
	CX_REJECT_DAX,
	CX_REJECT_SWAPFILE,
	CX_REJECT_KIND,
	CX_REJECT_PAGE,
	CX_REJECT_ADMISSION,
	CX_REJECT_LIMIT,
	CX_REJECT_FULL,
	CX_REJECT_MEMORY,
	CX_NR_REJECTS,
};

/**
 * enum cx_stat - what is counted, per CPU and target, in pages
 * @CX_PUTS: evicted to pmem
 * @CX_FREED: of those, gone from there again
 * @CX_HITS: found to have been used
 * @CX_RECLAIMED: dropped because they were cold and room was needed
 * @CX_GIVEN_BACK: dropped because swap found the pool empty
 * @CX_SMALL: dropped because memory was short and they are all that keeps an inode there
 * @CX_PROMOTED: moved to DRAM because they were hot
 * @CX_REJECTS: the first of those that weren't taken, by enum cx_reject
 * @CX_NR_STATS: number of them
 */
enum cx_stat {
	CX_PUTS,
	CX_FREED,
	CX_HITS,
	CX_RECLAIMED,
	CX_GIVEN_BACK,
	CX_SMALL,
	CX_PROMOTED,
	CX_REJECTS,
	CX_NR_STATS = CX_REJECTS + CX_NR_REJECTS,
};

/* Targets that have counters, and slot 0 for what is no target's. */
#define CX_SLOTS	128

struct cx_stats {
	s64 count[CX_SLOTS][CX_NR_STATS];
};

extern struct cx_stats __percpu *cx_stats;

static inline void cx_count(unsigned int slot, enum cx_stat stat, long n)
{
	this_cpu_add(cx_stats->count[slot][stat], n);
}

/* Looks in a row that find a page used, and then it is hot. */
#define CX_USES_HOT	2U

/**
 * struct cx_page - what is known of a page in pmem, beside its struct page
 * @memcg: id of the cgroup that was charged for it in DRAM, 0 for none
 * @target: slot of the target that it was taken for
 * @serial: low bits of that cgroup's serial number, as ids are used again
 * @uses: how many looks in a row found it used, up to CX_USES_HOT
 *
 * Written by who stores the page, before it has its first reference. @uses shares a byte with
 * @serial: it is written with the page locked and a reference to it, so that it is that page still.
 */
struct cx_page {
	u16 memcg;
	u8 target;
	u8 serial:6;
	u8 uses:2;
};

/**
 * struct cx_tier - what there is for each tier
 * @tier: the tier
 * @node: on the list of tiers, under cx_lock
 * @hand: where reclaim goes on; a hint
 * @small_hand: the same for pages of small files
 * @pause_until: reclaim found little: no use in looking again before this (jiffies)
 * @none_until: nothing could be given back at once: the same
 * @reclaim: keeps the reserve free
 * @pages: for each page of the pool
 * @promote: promotes hot pages
 * @promote_at: page that its next look begins with
 * @promote_last: when its last look began (jiffies)
 */
struct cx_tier {
	struct pmem_tier *tier;
	struct list_head node;
	unsigned long hand;
	unsigned long small_hand;
	unsigned long pause_until;
	unsigned long none_until;
	struct work_struct reclaim;
	struct cx_page *pages;
	struct delayed_work promote;
	unsigned long promote_at;
	unsigned long promote_last;
};

/* The most tiers that pages can come from. */
#define CX_TIERS_MAX	64

/**
 * struct cx_tiers - the tiers that pages may come from, read under RCU; NULL for none
 * @nr: how many, at least 1
 * @tier: they
 */
struct cx_tiers {
	unsigned int nr;
	struct cx_tier *tier[CX_TIERS_MAX];
};

extern struct cx_tiers __rcu *cx_tiers;

/**
 * enum cx_admission - what of the targets is taken
 * @CX_ADMIT_OFF: nothing
 * @CX_ADMIT_REUSE: what was evicted before, not long ago
 * @CX_ADMIT_ALL: all
 */
enum cx_admission {
	CX_ADMIT_OFF,
	CX_ADMIT_REUSE,
	CX_ADMIT_ALL,
};

/**
 * enum cx_how - how much may be done to get rid of a page
 * @CX_QUICK: nothing that sleeps or looks at page tables
 * @CX_COLD: what reclaim does, if the page hasn't been used
 * @CX_FORCE: all that is right, used or not, but for waiting for I/O
 */
enum cx_how {
	CX_QUICK,
	CX_COLD,
	CX_FORCE,
};

/* main.c */
extern struct pmem_tier_feature cx_feature;
extern struct mutex cx_lock;
extern struct list_head cx_tier_list;
extern struct workqueue_struct *cx_wq;
bool cx_enabled(void);
int cx_enable(void);
int cx_disable(void);
int cx_drop_all(void);

/* flush.c */
void cx_tramp_unmap(void);
asmlinkage struct pmem_tier_hook_arg cx_hook_unmap(struct folio *folio,
						   unsigned int flags);
void cx_flush_prepare(void);
void cx_flush_prepared(void);
bool cx_flush_is_due(void);
int cx_flush_enable(void);
void cx_flush_disable(void);

/* evict.c */
extern unsigned long cx_max_pages;
unsigned long cx_stored_pages(void);
void cx_tramp_evict(void);
asmlinkage struct pmem_tier_hook_arg cx_hook_evict(struct folio *folio,
						   void *shadow);
int cx_evict_enable(void);
void cx_evict_disable(void);

/* admit.c */
extern int cx_admission;
int cx_admit(enum cx_admission admission);
extern unsigned int cx_admit_free_percent;
void cx_admit_resize(unsigned long pool_pages);
void cx_admit_exit(void);
bool cx_reused(const struct folio *folio);
void cx_remember(const struct folio *folio);

/* targets.c */
unsigned int cx_target_of(const struct inode *inode);
int cx_targets_init(void);
int cx_targets_set(const char *buf);
ssize_t cx_targets_show(char *buf);
void cx_targets_exit(void);

/* drop.c */
int cx_drop_init(void);
struct folio *cx_get(struct cx_tier *ct, unsigned long index, bool wait);
bool cx_used(struct cx_tier *ct, unsigned long index);
bool cx_look(struct cx_tier *ct, unsigned long index);
bool cx_unmap(struct folio *folio, enum cx_how how);
bool cx_drop(struct cx_tier *ct, unsigned long index, enum cx_how how,
	     enum cx_stat as);
bool cx_drop_if_small(struct cx_tier *ct, unsigned long index,
		      unsigned long pages);
bool cx_drop_wait(struct cx_tier *ct, unsigned long index);
bool cx_poisoned(struct pmem_tier *tier, unsigned long index, int flags);
int cx_long_pin(struct pmem_tier *tier, unsigned long index);

/* reclaim.c */
void cx_reclaim_work(struct work_struct *work);
void cx_low(struct pmem_tier *tier);
unsigned int cx_free_percent(struct cx_tier *ct);
bool cx_give_back(struct pmem_tier *tier);
bool cx_drop_small(struct cx_tier *ct, unsigned long pages);
unsigned long cx_drain(struct cx_tier *ct);

/* promote.c */
extern unsigned int cx_promote_pages_per_second;
int cx_promote_init(void);
void cx_promote_enable(void);
void cx_promote_start(struct cx_tier *ct);
void cx_promote_stop(struct cx_tier *ct);
void cx_promote_exit(void);

/* stats.c */
int cx_stats_init(struct kobject *root);
int cx_stats_slot(const char *name, const unsigned long *in_use);
void cx_stats_hide(struct kobject *root);
void cx_stats_exit(void);

/* small.c */
bool cx_keeps_too_much(struct folio *folio);
int cx_small_enable(void);
int cx_small_init(void);
void cx_small_exit(void);

/* sysfs.c */
int cx_sysfs_init(void);
void cx_sysfs_exit(void);

#endif /* _PMEM_CACHEX_H */
