/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Inside pmem_tier: the claimed namespace and who does what to it.
 */
#ifndef _PMEM_TIER_CORE_H
#define _PMEM_TIER_CORE_H

#include <linux/kobject.h>
#include <linux/memremap.h>
#include <linux/nd.h>
#include <linux/percpu.h>
#include <linux/seqlock.h>
#include <linux/workqueue.h>
#include <pmem_tier/tier.h>

#include "freemap.h"

/*
 * Pages at either end of a namespace that are never handed out: other software
 * keeps its signatures there, and pmem_tier its header (page 0). What stands there
 * is therefore never data of ours that happens to look like a signature.
 */
#define GUARD_PAGES	64UL
#define GUARD_BYTES	(GUARD_PAGES << PAGE_SHIFT)

/* The smallest namespace worth claiming; libnvdimm has the same limit. */
#define TIER_MIN_BYTES	(16UL << 20)

enum memmap_policy {
	MEMMAP_RAM,
	MEMMAP_PMEM,
	MEMMAP_AUTO,
};

/**
 * enum wipe_policy - when what was in a page is overwritten, see wipe.c
 * @WIPE_NONE: never
 * @WIPE_RELEASE: when the namespace is given back
 * @WIPE_FREE: when the page is free
 */
enum wipe_policy {
	WIPE_NONE,
	WIPE_RELEASE,
	WIPE_FREE,
};

/* Whether pages were handed out is noted for so many at a time (2 MiB). */
#define WIPE_CHUNK_SHIFT	9

/**
 * struct tier_counts - what is counted, per CPU: only sums over CPUs mean something
 * @used: pages taken from the pool less pages given back, for each user
 * @lent: pages lent to mm less pages returned
 * @credit: pages that a soft user may take without looking at the reserve; below 0: that it
 *	is refused
 * @drawn: pages that swap took, for looking at the reserve once in a while
 */
struct tier_counts {
	long used[PMEM_TIER_NR_USERS];
	long lent;
	int credit;
	unsigned int drawn;
};

/**
 * struct tier_ns - a claimed namespace
 * @tier: the part that clients see
 * @ndns: the namespace
 * @phys: physical address where it begins
 * @size: its bytes, guard areas included
 * @pgmap: its struct pages
 * @memmap: where they lie: MEMMAP_RAM or MEMMAP_PMEM
 * @memmap_bytes: DRAM they take
 * @free: which pages of the pool are free
 * @cached: a bit for each page, set while the page cache has it
 * @wipe: when pages are wiped
 * @has_data: somebody's data may be in the pool, not wiped; for the header
 * @handed_out: a bit for each chunk of pages, set once one of them was taken
 * @wipe_all: another kernel may have used the pool, so that @handed_out isn't all; under tier_lock
 * @freed: WIPE_FREE: a bit for each page, set while it waits for being wiped
 * @nr_freed: how many of them there are, or more for a moment
 * @freed_from: behind the one that was taken last: a hint
 * @wipe_work: wipes those
 * @wiping: @wipe_work moves a page: it isn't in @freed any more, and not in @free yet
 * @cursor: per CPU, where the next search for a free page begins
 * @counts: pages in use
 * @pool_ready: @free and @counts may be used; set once, read by whoever comes
 *	from mm without a lock (memory failure)
 * @hwpoison_left: there may be hwpoison entries for its pages in page tables:
 *	it holds the module
 * @hwpoison_work: looks whether they are gone, while there is no client
 * @header_bad: the page of the header failed: it isn't written any more
 * @guard_bad: a page of the guard areas failed, that of the header or another
 * @badblocks_work: looks for bad blocks once more when there was no memory for it
 * @reserve_pages: free pages that soft users leave alone
 * @metadata_bytes: DRAM that clients accounted
 * @kobj: the namespace's directory in sysfs
 * @node: on the list of tiers, under tier_lock
 * @clients: bit for each client (by user) whose add() succeeded, under tier_lock
 * @quiesced: no client may begin new use, under tier_lock
 * @soft: the client that gives pages back when swap needs them; written under
 *	tier_lock, read under RCU or long_pin_srcu
 * @orphans: the page cache has pages whose client is gone: they hold the module
 */
struct tier_ns {
	struct pmem_tier tier;
	struct nd_namespace_common *ndns;
	phys_addr_t phys;
	size_t size;
	struct dev_pagemap pgmap;
	enum memmap_policy memmap;
	unsigned long memmap_bytes;
	struct freemap free;
	unsigned long *cached;
	enum wipe_policy wipe;
	bool has_data;
	unsigned long *handed_out;
	bool wipe_all;
	unsigned long *freed;
	atomic_long_t nr_freed;
	unsigned long freed_from;
	struct work_struct wipe_work;
	seqcount_t wiping;
	unsigned long __percpu *cursor;
	struct tier_counts __percpu *counts;
	bool pool_ready;
	bool hwpoison_left;
	struct delayed_work hwpoison_work;
	bool header_bad;
	bool guard_bad;
	struct delayed_work badblocks_work;
	unsigned long reserve_pages;
	atomic_long_t metadata_bytes;
	struct kobject kobj;
	struct list_head node;
	unsigned long clients;
	bool quiesced;
	struct pmem_tier_client __rcu *soft;
	bool orphans;
};

static inline struct tier_ns *to_tier_ns(struct pmem_tier *tier)
{
	return container_of(tier, struct tier_ns, tier);
}

/* See pmem_tier_lent(). */
static inline void tier_lent(struct tier_ns *ns, struct page *page, int nr)
{
	/* Paired with put_dev_pagemap() in free_zone_device_folio(). */
	percpu_ref_get_many(&page->pgmap->ref, nr);
	this_cpu_add(ns->counts->lent, nr);
}

/* params.c */
extern bool tier_force;
bool tier_param_claims(const char *name);
bool tier_param_claims_by_name(const char *name);
enum memmap_policy tier_param_memmap(void);
enum wipe_policy tier_param_wipe(void);
const char *tier_memmap_name(enum memmap_policy policy);
void tier_param_report_unclaimed(const struct bus_type *bus);

/* claim.c */
int tier_claim_init(void);
void tier_claim_exit(void);
extern struct nd_device_driver tier_nd_driver;

/* bind.c */
extern const struct attribute_group *tier_driver_groups[];
bool tier_bind_requested(const struct device *dev);

/* region.c */
int tier_region_writable(struct device *region);

/* header.c */
int tier_header_check(struct tier_ns *ns);
int tier_header_open(struct tier_ns *ns);
void tier_header_reopen(struct tier_ns *ns);
void tier_header_close(struct tier_ns *ns);

/* range.c */
int tier_range_map(struct tier_ns *ns);
void tier_range_unmap(struct tier_ns *ns);

/* badblocks.c */
int tier_badblocks_apply(struct tier_ns *ns);
int tier_badblocks_in(struct tier_ns *ns, u64 offset, u64 bytes);
void tier_badblocks_failed(unsigned long pfn, gfp_t gfp);
void tier_badblocks_unmap(struct tier_ns *ns);
void tier_badblocks_exit(void);

/* pool.c */
int tier_pool_init(struct tier_ns *ns);
void tier_pool_destroy(struct tier_ns *ns);
unsigned long tier_pool_used(struct tier_ns *ns, enum pmem_tier_user user);
unsigned long tier_pool_lent(struct tier_ns *ns);
bool tier_pool_idle(struct tier_ns *ns);
bool tier_pool_mark_bad(struct tier_ns *ns, u64 offset, u64 bytes);

/* wipe.c */
int tier_wipe_init(struct tier_ns *ns);
void tier_wipe_destroy(struct tier_ns *ns);
unsigned long tier_wipe_bytes(const struct tier_ns *ns);
void tier_wipe_later(struct tier_ns *ns, unsigned long index);
long tier_wipe_take(struct tier_ns *ns, unsigned long *cursor);
int tier_wipe_memmap(struct tier_ns *ns, u64 bytes);
void tier_wipe_before_use(struct tier_ns *ns);
void tier_wipe_all(struct tier_ns *ns);
void tier_wipe_after_use(struct tier_ns *ns);

/* page.c */
void tier_page_forget(struct page *page);
extern const struct dev_pagemap_ops tier_pagemap_ops;

/* cached.c */
void tier_cached_init(void);
void tier_cached_page_free(struct tier_ns *ns, struct page *page);
void tier_cached_orphaned(struct tier_ns *ns);

/* long_pin.c */
void tier_tramp_long_pin(void);
asmlinkage unsigned int tier_hook_long_pin(struct folio *folio);
void tier_long_pin_wait(void);
bool tier_poisoned(struct tier_ns *ns, unsigned long index, int flags);
void tier_long_pin_exit(void);

/* hwpoison.c */
int tier_hwpoison_find(struct tier_ns *ns);
bool tier_hwpoison_left(struct tier_ns *ns);
void tier_hwpoison_exit(void);

/* media.c */
#ifdef CONFIG_FAULT_INJECTION_DEBUG_FS
void tier_media_init(void);
void tier_media_exit(void);
#else
static inline void tier_media_init(void) {}
static inline void tier_media_exit(void) {}
#endif

/* hibernate.c */
int tier_hibernate_init(void);
void tier_hibernate_exit(void);

/* tiers.c */
int tier_claim_begin(const char *name);
void tier_claim_end(void);
int tier_hibernate_prepare(void);
void tier_hibernate_done(void);
struct pmem_tier_client *tier_client_of(struct tier_ns *ns,
					unsigned long index);
int tier_publish(struct tier_ns *ns);
int tier_quiesce(struct device *dev);
void tier_withdraw(struct tier_ns *ns);
void tier_client_page_free(struct tier_ns *ns, struct page *page);
void tier_returned(struct tier_ns *ns);
bool tier_client_poisoned(struct tier_ns *ns, unsigned long index, int flags);

/* features.c */
struct pmem_tier_feature;
void tier_feature_unchecked(struct pmem_tier_feature *feature,
			    const char *name);
ssize_t tier_features_emit(char *buf);

/* sysfs.c */
int tier_sysfs_init(void);
void tier_sysfs_exit(void);
int tier_sysfs_add(struct tier_ns *ns);
void tier_sysfs_del(struct tier_ns *ns);
void tier_ns_init_kobj(struct tier_ns *ns);

#endif /* _PMEM_TIER_CORE_H */
