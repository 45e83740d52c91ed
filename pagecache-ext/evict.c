// SPDX-License-Identifier: GPL-2.0-only
/*
 * Eviction to pmem: a pmem page takes the place of what reclaim evicts from the page cache.
 */

/**
 * DOC: eviction
 *
 * __filemap_remove_folio() is hooked. Only reclaim calls it with a shadow entry to be left in
 * the folio's place: the folio is locked, clean and mapped nowhere, its reference count is
 * frozen at 0, and the i_pages lock of the mapping is held with interrupts disabled. So
 * nobody can get or change the folio.
 *
 * The handler copies the folio to a pmem page and has that stored instead of the
 * shadow. From then on it is the page in the page cache: read, mapped, written, truncated as
 * any other, without anybody's knowing or telling us.
 *
 * Whoever looks a page up takes no lock. He must find the folio, for whose references he tries
 * again and again, or what takes its place; never nothing, and later something: truncation looks
 * once, and then data is freed that is thought to be cached nowhere. So the entry of a large
 * folio is split first, as if the folio was: each of its pages has an entry of
 * its own that still is the folio. Then they are replaced one by one, by a pmem page, or by the
 * shadow if there is no room.
 *
 * No more than a node's worth of pages is taken of one folio. What is beyond that keeps entries of
 * the size of a node, which cost nothing; and a walk that met the whole folio before goes on
 * behind it with something that isn't a page of its own.
 */

#include <linux/buffer_head.h>
#include <linux/dax.h>
#include <linux/fs.h>
#include <linux/memcontrol.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/xarray.h>

#include "cachex.h"
#include "trace.h"

/*
 * The most pages of one folio that are copied: it is done with interrupts disabled. And what has
 * entries of its own, see above.
 */
#define BATCH_ORDER	XA_CHUNK_SHIFT
#define BATCH_MAX	XA_CHUNK_SIZE

/* How many puts of a CPU may go by between two looks at max_pages. */
#define LIMIT_EVERY	16

static struct list_lru *shadow_nodes;

static struct pmem_tier_hook evict_hook = {
	.prototype = "void __filemap_remove_folio(struct folio *, void *)",
	.trampoline = cx_tramp_evict,
};

/* What workingset_update_node() looks like, which mm keeps to itself. */
static void update_nothing(struct xa_node *node)
{
}

DEFINE_STATIC_CALL(cx_page_node_update, update_nothing);

unsigned long cx_max_pages;
static DEFINE_PER_CPU(unsigned int, puts_to_go);

/**
 * cx_stored_pages() - pages of the page cache in pmem
 *
 * Context: any.
 * Return: the number; exact when none comes or goes meanwhile.
 */
unsigned long cx_stored_pages(void)
{
	struct cx_tiers *tiers;
	unsigned long sum = 0;
	unsigned int i;

	rcu_read_lock();
	tiers = rcu_dereference(cx_tiers);
	for (i = 0; tiers && i < tiers->nr; i++)
		sum += pmem_tier_used_pages(tiers->tier[i]->tier,
					    PMEM_TIER_CACHE);
	rcu_read_unlock();
	return sum;
}

/* Summing up what all CPUs have isn't for each page: each CPU may be off by a few. */
static noinline bool within_limit(unsigned long nr)
{
	unsigned long max = READ_ONCE(cx_max_pages);

	if (__this_cpu_read(puts_to_go) >= nr) {
		__this_cpu_sub(puts_to_go, nr);
		return true;
	}
	/* It has been lifted. */
	if (!max)
		return true;
	if (cx_stored_pages() + nr > max)
		return false;
	if (cx_stored_pages() + LIMIT_EVERY * num_online_cpus() < max)
		__this_cpu_write(puts_to_go, LIMIT_EVERY);
	return true;
}

/* Files of these kinds are refused, whatever the targets are. */
#define REFUSED_INODES	(S_ENCRYPTED | S_DAX | S_SWAPFILE)

static enum cx_reject why_refused(unsigned int flags)
{
	if (flags & S_ENCRYPTED)
		return CX_REJECT_ENCRYPTED;
	return flags & S_DAX ? CX_REJECT_DAX : CX_REJECT_SWAPFILE;
}

/* Mappings with any of these are refused: on their way out, or particular about their folios. */
#define REFUSED_MAPPINGS						\
	(BIT(AS_UNEVICTABLE) | BIT(AS_EXITING) | BIT(AS_RELEASE_ALWAYS) | \
	 BIT(AS_INACCESSIBLE) | AS_FOLIO_ORDER_MIN_MASK)

/* All flags of a folio that matter, and those that it has to have. */
#define WANTED_FLAGS	BIT(PG_uptodate)
#define CHECKED_FLAGS							\
	(WANTED_FLAGS | BIT(PG_private) | BIT(PG_private_2) |		\
	 BIT(PG_dirty) | BIT(PG_writeback) | BIT(PG_swapbacked) |	\
	 BIT(PG_unevictable) | BIT(PG_hwpoison))

/*
 * May this lie in pmem, on no LRU list?
 *
 * A filesystem without ->migrate_folio() has reasons for wanting a page to stay
 * what it is; one with ->free_folio() or AS_RELEASE_ALWAYS keeps books. Files whose data goes
 * through the journal (they have the ->migrate_folio() that minds references to buffers) stay
 * out: once, after a crash, a hole that had been synced read as what was there before.
 *
 * What isn't under the i_pages lock may change meanwhile (chattr, swapon, an I/O error): then the
 * page was evicted before or after that.
 */
static __always_inline enum cx_reject check(struct folio *folio,
					    const struct address_space *mapping,
					    unsigned long nr)
{
	const struct address_space_operations *ops = READ_ONCE(mapping->a_ops);
	const struct inode *inode = mapping->host;
	unsigned int flags = READ_ONCE(inode->i_flags);
	umode_t mode = READ_ONCE(inode->i_mode);

	if (!S_ISREG(mode) && unlikely(!S_ISBLK(mode)))
		return CX_REJECT_KIND;
	if (flags & REFUSED_INODES)
		return why_refused(flags);
	if (READ_ONCE(mapping->flags) & REFUSED_MAPPINGS ||
	    !ops->migrate_folio || ops->free_folio)
		return CX_REJECT_KIND;
	if (unlikely(ops->migrate_folio == buffer_migrate_folio_norefs) &&
	    !S_ISBLK(mode))
		return CX_REJECT_KIND;
	if ((READ_ONCE(folio->flags) & CHECKED_FLAGS) != WANTED_FLAGS ||
	    cx_flush_is_due())
		return CX_REJECT_PAGE;
	if (unlikely(READ_ONCE(cx_max_pages)) && !within_limit(nr))
		return CX_REJECT_LIMIT;
	if (READ_ONCE(cx_admission) != CX_ADMIT_ALL && !cx_reused(folio))
		return CX_REJECT_ADMISSION;
	if (unlikely(cx_keeps_too_much(folio))) {
		cx_remember(folio);
		return CX_REJECT_MEMORY;
	}
	return CX_REJECT_NONE;
}

/**
 * struct taken - a page from a pool
 * @ct: the tier
 * @index: the page; below 0 when there was none
 */
struct taken {
	struct cx_tier *ct;
	long index;
};

static __always_inline struct taken take_from(struct cx_tier *ct)
{
	return (struct taken) {
		.ct = ct,
		.index = pmem_tier_alloc(ct->tier, PMEM_TIER_CACHE),
	};
}

/* The first has none. */
static noinline struct taken take_elsewhere(const struct cx_tiers *tiers)
{
	struct taken t = { .index = -ENOSPC };
	unsigned int i;

	for (i = 1; i < tiers->nr && t.index < 0; i++)
		t = take_from(tiers->tier[i]);
	return t;
}

/* A page of whatever tier has one, with the data of the folio's page @nr. */
static __always_inline struct taken take_page(struct folio *folio,
					      unsigned long nr)
{
	const struct cx_tiers *tiers = rcu_dereference_sched(cx_tiers);
	struct taken t = { .index = -ENOSPC };

	if (unlikely(!tiers))
		return t;
	t = take_from(tiers->tier[0]);
	if (unlikely(t.index < 0)) {
		t = take_elsewhere(tiers);
		if (t.index < 0)
			return t;
	}
	pmem_tier_copy_in(t.ct->tier, t.index,
			  folio_address(folio) + (nr << PAGE_SHIFT));
	return t;
}

static __always_inline void describe(struct cx_page *page,
				     struct mem_cgroup *memcg,
				     unsigned int slot)
{
	if (likely(memcg))
		*page = (struct cx_page) {
			/* It ends with the cgroup: then it is no one's, or fails @serial. */
			.memcg = data_race(mem_cgroup_id(memcg)),
			.target = slot,
			.serial = memcg->css.serial_nr,
		};
	else
		*page = (struct cx_page) { .target = slot };
}

/* Make it one of the page cache. */
static __always_inline struct page *lend(struct taken t,
					 struct mem_cgroup *memcg,
					 unsigned int slot,
					 struct address_space *mapping,
					 pgoff_t index, void *shadow)
{
	struct page *page = pmem_tier_index_page(t.ct->tier, t.index);

	describe(&t.ct->pages[t.index], memcg, slot);
	pmem_tier_lend_cached(t.ct->tier, page, mapping, index, shadow);
	return page;
}

/* xas_store() calls it through a pointer, see hooks.c for why that isn't mm's. */
static void update_node(struct xa_node *node)
{
	static_call(cx_page_node_update)(node);
}

static __always_inline struct pmem_tier_hook_arg reject(struct folio *folio,
							void *shadow,
							unsigned int slot,
							enum cx_reject reason)
{
	unsigned long nr = folio_nr_pages(folio);

	cx_count(slot, CX_REJECTS + reason, nr);
	trace_reject(folio->mapping->host, folio->index, nr, reason);
	return (struct pmem_tier_hook_arg) { .arg = shadow };
}

/* As mm does when a folio leaves the page cache. */
static void unaccount(struct folio *folio, struct address_space *mapping)
{
	long nr = folio_nr_pages(folio);

	__lruvec_stat_mod_folio(folio, NR_FILE_PAGES, -nr);
	if (folio_test_pmd_mappable(folio)) {
		__lruvec_stat_mod_folio(folio, NR_FILE_THPS, -nr);
		filemap_nr_thps_dec(mapping);
	}
}

/* Give the first pages of a large folio, BATCH_MAX of them, entries of their own; or -ENOMEM. */
static int split_entry(struct xa_state *xas, struct folio *folio)
{
	unsigned int order = folio_order(folio);

	/*
	 * Nodes of the tree aren't worth the memory that reclaim may use to get on, but its
	 * right to charge beyond limits: it frees more.
	 */
	xas_split_alloc(xas, folio, min_t(unsigned int, order, BATCH_ORDER),
			GFP_NOWAIT | __GFP_NOMEMALLOC | __GFP_NOWARN);
	if (xas_error(xas))
		return xas_error(xas);
	if (order > BATCH_ORDER) {
		XA_STATE_ORDER(large, xas->xa, folio->index, BATCH_ORDER);

		xas_set_update(&large, update_node);
		/* Within one node: no other is needed. */
		xas_split(&large, folio, order);
		order = BATCH_ORDER;
	}
	xas_split(xas, folio, order);
	return 0;
}

/* The first @nr pages of the folio are replaced by what was taken, others by the shadow. */
static void replace(struct xa_state *xas, struct folio *folio,
		    const struct taken *taken, unsigned long nr,
		    unsigned int slot, void *shadow)
{
	struct address_space *mapping = folio->mapping;
	struct mem_cgroup *memcg = folio_memcg(folio);
	unsigned long i, all = folio_nr_pages(folio);
	pgoff_t index = folio->index;

	for (i = 0; i < all; i += i < BATCH_MAX ? 1 : BATCH_MAX) {
		void *entry = shadow;

		if (i < nr)
			entry = lend(taken[i], memcg, slot, mapping, index + i,
				     shadow);
		/* There is an entry: that can't fail. */
		xas_set_order(xas, index + i, i < BATCH_MAX ? 0 : BATCH_ORDER);
		xas_store(xas, entry);
		xas_init_marks(xas);
	}
	mapping->nrpages -= all - nr;
}

/* Pages of a folio that are worth keeping: not those behind the end of the file. */
static unsigned long pages_wanted(const struct folio *folio)
{
	loff_t size = i_size_read(folio->mapping->host);
	unsigned long end = DIV_ROUND_UP(size, PAGE_SIZE);

	if (folio->index >= end)
		return 0;
	return min3(folio_nr_pages(folio), end - folio->index, BATCH_MAX);
}

static noinline struct pmem_tier_hook_arg put_large(struct folio *folio,
						    void *shadow,
						    unsigned int slot)
{
	struct pmem_tier_hook_arg ret = { .arg = shadow };
	unsigned long n, nr, all = folio_nr_pages(folio);
	struct address_space *mapping = folio->mapping;
	XA_STATE(xas, &mapping->i_pages, folio->index);
	struct taken taken[BATCH_MAX];
	enum cx_reject reason;

	reason = folio_test_has_hwpoisoned(folio) ? CX_REJECT_PAGE :
		 check(folio, mapping, all);
	if (reason)
		return reject(folio, shadow, slot, reason);
	nr = pages_wanted(folio);
	for (n = 0; n < nr; n++) {
		taken[n] = take_page(folio, n);
		if (taken[n].index < 0)
			break;
	}
	if (!n) {
		cx_remember(folio);
		return reject(folio, shadow, slot,
			      nr ? CX_REJECT_FULL : CX_REJECT_PAGE);
	}
	xas_set_update(&xas, update_node);
	xas_set_lru(&xas, shadow_nodes);
	if (split_entry(&xas, folio)) {
		while (n--)
			pmem_tier_free(taken[n].ct->tier, taken[n].index,
				       PMEM_TIER_CACHE);
		return reject(folio, shadow, slot, CX_REJECT_MEMORY);
	}
	trace_put(mapping->host, folio->index, all, n);
	unaccount(folio, mapping);
	replace(&xas, folio, taken, n, slot, shadow);
	folio->mapping = NULL;
	cx_count(slot, CX_REJECTS + CX_REJECT_FULL, nr - n);
	cx_count(slot, CX_REJECTS + CX_REJECT_PAGE, all - nr);
	cx_count(slot, CX_PUTS, n);
	/* It is done already. */
	ret.skip = true;
	return ret;
}

static noinline struct pmem_tier_hook_arg put(struct folio *folio, void *shadow,
					      unsigned int slot)
{
	struct address_space *mapping = folio->mapping;
	struct pmem_tier_hook_arg ret = { };
	enum cx_reject reason;
	struct taken taken;

	if (unlikely(folio_test_large(folio)))
		return put_large(folio, shadow, slot);
	reason = check(folio, mapping, 1);
	if (unlikely(reason))
		return reject(folio, shadow, slot, reason);
	taken = take_page(folio, 0);
	if (unlikely(taken.index < 0)) {
		cx_remember(folio);
		return reject(folio, shadow, slot, CX_REJECT_FULL);
	}
	cx_count(slot, CX_PUTS, 1);
	trace_put(mapping->host, folio->index, 1, 1);
	/* The hooked function takes one off, and stores this in the folio's place. */
	mapping->nrpages++;
	ret.arg = lend(taken, folio_memcg(folio), slot, mapping, folio->index,
		       shadow);
	return ret;
}

/**
 * cx_hook_evict() - before __filemap_remove_folio()
 * @folio: what is removed from the page cache
 * @shadow: what is left in its place: NULL unless it is reclaim that removes it
 *
 * Not counted as inside the hook: it neither sleeps nor can be preempted. For the same reason
 * it needs no rcu_read_lock(). Those that don't take part must not pay for
 * it: so this much is by itself, and as short as can be.
 *
 * Context: i_pages lock held, interrupts disabled.
 * Return: what is to be left in its place.
 */
asmlinkage notrace struct pmem_tier_hook_arg cx_hook_evict(struct folio *folio,
							   void *shadow)
{
	unsigned int slot;

	if (!shadow)
		return (struct pmem_tier_hook_arg) { .arg = NULL };
	if (READ_ONCE(cx_admission) == CX_ADMIT_OFF)
		return reject(folio, shadow, 0, CX_REJECT_ADMISSION);
	slot = cx_target_of(folio->mapping->host);
	if (!slot)
		return reject(folio, shadow, 0, CX_REJECT_TARGET);
	return put(folio, shadow, slot);
}

/**
 * cx_evict_enable() - begin to take what is evicted
 *
 * Context: process context, may sleep; under cx_lock.
 * Return: 0 or a negative error.
 */
int cx_evict_enable(void)
{
	void *update;

	if (evict_hook.installed)
		return 0;
	update = pmem_tier_symbol(&cx_feature,
				  "void workingset_update_node(struct xa_node *)");
	shadow_nodes = pmem_tier_symbol(&cx_feature,
					"struct list_lru shadow_nodes");
	if (!update || !shadow_nodes)
		return -EOPNOTSUPP;
	static_call_update(cx_page_node_update, update);
	return pmem_tier_hook_install(&evict_hook, &cx_feature);
}

/**
 * cx_evict_disable() - take nothing any more
 *
 * Context: process context, may sleep; under cx_lock.
 */
void cx_evict_disable(void)
{
	pmem_tier_hook_remove(&evict_hook);
}
