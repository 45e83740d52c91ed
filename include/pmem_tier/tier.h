/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a frontend may use of pmem_tier: claimed namespaces and their pages.
 */
#ifndef _PMEM_TIER_TIER_H
#define _PMEM_TIER_TIER_H

#include <linux/device.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/string.h>
#include <linux/uuid.h>
#include <pmem_tier/media.h>

struct pmem_tier_feature;

/**
 * DOC: tiers, clients and pages
 *
 * A *tier* is one libnvdimm namespace that pmem_tier holds: a range of
 * persistent memory with a struct page for every page, and a pool of those
 * pages. A page is named by its index in the pool, 0 to nr_pages - 1.
 *
 * A page that is lent to mm has references. When the last one goes, a page of swap
 * goes back to its client (page_free()), a page of the page cache to the pool: so a
 * client of the page cache may go while pages of it are still there.
 *
 * A *client* is a frontend (pmemswap, pmem_cachex). It registers once and is
 * told of each tier: add() when one appears, quiesce() when somebody asks to
 * take it away, remove() when that is granted. All three run in process
 * context under one mutex, so they never race with each other; add() and
 * remove() come in pairs. A client draws pages with pmem_tier_alloc() and
 * must have freed every one when remove() returns, or lent it to the page cache.
 */

/**
 * enum pmem_tier_user - what a page of the pool is in use for
 * @PMEM_TIER_SWAP: swap data. A hard user: it may take the last free page.
 * @PMEM_TIER_CACHE: page cache. A soft user: it leaves the reserve alone.
 * @PMEM_TIER_NR_USERS: number of users
 */
enum pmem_tier_user {
	PMEM_TIER_SWAP,
	PMEM_TIER_CACHE,
	PMEM_TIER_NR_USERS,
};

/**
 * struct pmem_tier - one claimed namespace, as its clients see it
 * @name: name of the namespace device, e.g. "namespace0.0"
 * @dev: the namespace device; parent for a client's own devices
 * @uuid: identity of the namespace, kept on the media
 * @addr: kernel address of page 0 of the pool
 * @first_pfn: page frame number of page 0 of the pool
 * @nr_pages: number of pages in the pool, known bad ones included
 * @nid: NUMA node of the memory
 * @has_bad: some page is known to be bad; never goes back to false
 * @wipe_free: pages are wiped as they are freed; so has to be, by the client, what nobody
 *	wants any more in a page that it keeps
 * @priv: one pointer for each client, for its own use
 *
 * All of it is constant from add() to remove(), but @has_bad, and @priv, which
 * the client owns.
 */
struct pmem_tier {
	const char *name;
	struct device *dev;
	uuid_t uuid;
	void *addr;
	unsigned long first_pfn;
	unsigned long nr_pages;
	int nid;
	bool has_bad;
	bool wipe_free;
	void *priv[PMEM_TIER_NR_USERS];
};

/**
 * struct pmem_tier_client - a frontend
 * @name: for messages
 * @user: what its pages are counted as; one client for each user
 * @owner: the module
 * @add: a tier has appeared. May sleep. An error is reported and the tier is
 *	then none of this client's business: no other call follows for it.
 * @quiesce: the tier is asked back. Either refuse (-EBUSY) or make sure that no
 *	new use begins, and return 0; may come again after success. May sleep,
 *	but must not wait for a user to finish.
 * @resume: undoes @quiesce when the tier stays after all
 * @remove: follows a successful @quiesce: give back every page. May sleep.
 * @page_free: for swap: the last reference to a page that this client lent is gone; the
 *	page is the client's alone again. Any context, interrupts in any state.
 * @long_pin: somebody wants to pin a lent page for long, which device memory can't be:
 *	move it away; it may be something else by now. May sleep. 0: it is gone from where it
 *	was; -EBUSY: it is in use, which may be for a moment; another error: it can't be pinned
 * @poisoned: a lent page has failed (and is marked bad): get rid of it. Flags are those of
 *	memory_failure(). A page of swap comes with a reference, which goes in any case. May
 *	sleep. Returns true when nobody can come across the page any more.
 * @give_back: for the page cache: swap needs a page, now: free one. Any context but
 *	interrupts, under RCU; must not sleep. Returns false when there is none.
 * @freed: for the page cache: the last reference to a page is gone, it goes back to the pool;
 *	and was it used since pmem_tier_cached_used() was last asked? Any context,
 *	interrupts in any state, under RCU.
 * @low: for the page cache: few pages are free beyond the reserve, or fewer than that. Any
 *	context, under RCU.
 */
struct pmem_tier_client {
	const char *name;
	enum pmem_tier_user user;
	struct module *owner;
	int (*add)(struct pmem_tier *tier);
	int (*quiesce)(struct pmem_tier *tier);
	void (*resume)(struct pmem_tier *tier);
	void (*remove)(struct pmem_tier *tier);
	void (*page_free)(struct pmem_tier *tier, struct page *page);
	int (*long_pin)(struct pmem_tier *tier, unsigned long index);
	bool (*poisoned)(struct pmem_tier *tier, unsigned long index, int flags);
	bool (*give_back)(struct pmem_tier *tier);
	void (*freed)(struct pmem_tier *tier, unsigned long index, bool used);
	void (*low)(struct pmem_tier *tier);
};

int pmem_tier_register_client(struct pmem_tier_client *client);
void pmem_tier_unregister_client(struct pmem_tier_client *client);
void pmem_tier_idle(void);
bool pmem_tier_hibernating(void);

long pmem_tier_alloc(struct pmem_tier *tier, enum pmem_tier_user user);
unsigned long pmem_tier_free_pages(struct pmem_tier *tier);
void pmem_tier_free(struct pmem_tier *tier, unsigned long index,
		    enum pmem_tier_user user);
unsigned long pmem_tier_reserve_pages(struct pmem_tier *tier);
unsigned long pmem_tier_used_pages(struct pmem_tier *tier,
				   enum pmem_tier_user user);
bool pmem_tier_index_cached(struct pmem_tier *tier, unsigned long index);
unsigned long pmem_tier_next_cached(struct pmem_tier *tier,
				    unsigned long from);
void pmem_tier_leave_hwpoison(struct pmem_tier *tier);
void pmem_tier_mark_bad(struct pmem_tier *tier, unsigned long index);
bool __pmem_tier_index_bad(struct pmem_tier *tier, unsigned long index);
void pmem_tier_copy_in(const struct pmem_tier *tier, unsigned long index,
		       const void *src);
struct pmem_tier *pmem_tier_page_tier(const struct page *page);
void pmem_tier_lent(struct pmem_tier *tier, struct page *page, int nr);
void pmem_tier_lend_cached(struct pmem_tier *tier, struct page *page,
			   struct address_space *mapping, pgoff_t index,
			   void *shadow);
bool pmem_tier_cached_used(struct page *page);
void *pmem_tier_cached_shadow(struct page *page);
bool pmem_tier_cached_is_roots(const struct page *page);
int pmem_tier_long_pin_enable(struct pmem_tier_feature *feature);
void pmem_tier_drop_cpu_refs(void);
void pmem_tier_unlent(struct pmem_tier *tier, struct page *page);
void pmem_tier_account_metadata(struct pmem_tier *tier, long bytes);

/**
 * pmem_tier_shown() - how much of a value that isn't accepted a message shows
 * @buf: what was written to a file
 *
 * Return: characters, for "%.*s": the first line, and not all of that when it is long.
 */
static inline int pmem_tier_shown(const char *buf)
{
	return min(strcspn(buf, "\n"), 40UL);
}

/**
 * pmem_tier_index_addr() - kernel address of a page of the pool
 * @tier: the tier
 * @index: index of the page
 *
 * Return: its address in the direct map.
 */
static inline void *pmem_tier_index_addr(const struct pmem_tier *tier,
					 unsigned long index)
{
	return tier->addr + (index << PAGE_SHIFT);
}

/**
 * pmem_tier_index_page() - struct page of a page of the pool
 * @tier: the tier
 * @index: index of the page
 *
 * Return: the struct page.
 */
static inline struct page *pmem_tier_index_page(const struct pmem_tier *tier,
						unsigned long index)
{
	return pfn_to_page(tier->first_pfn + index);
}

/**
 * pmem_tier_page_index() - index of a page of the pool
 * @tier: the tier
 * @page: the page
 *
 * Return: its index.
 */
static inline unsigned long pmem_tier_page_index(const struct pmem_tier *tier,
						 const struct page *page)
{
	return page_to_pfn(page) - tier->first_pfn;
}

/**
 * pmem_tier_index_bad() - does a page have a known media error?
 * @tier: the tier
 * @index: the page, in use by the caller
 *
 * Context: any.
 * Return: true when it does: its content must not be trusted.
 */
static inline bool pmem_tier_index_bad(struct pmem_tier *tier,
				       unsigned long index)
{
	return unlikely(READ_ONCE(tier->has_bad)) &&
	       __pmem_tier_index_bad(tier, index);
}

/**
 * pmem_tier_copy_out() - copy data out of a page of the pool
 * @tier: the tier
 * @index: index of the page; the caller keeps it from being freed
 * @dst: where the PAGE_SIZE bytes go
 *
 * Context: any.
 * Return: 0, or -EIO when the media reported an error (a machine check that
 * the copy survived).
 */
static inline int pmem_tier_copy_out(struct pmem_tier *tier,
				     unsigned long index, void *dst)
{
	if (likely(!pmem_tier_copy_mc(dst, pmem_tier_index_addr(tier, index),
				      PAGE_SIZE)))
		return 0;
	pmem_tier_mark_bad(tier, index);
	return -EIO;
}

#endif /* _PMEM_TIER_TIER_H */
