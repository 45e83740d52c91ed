// SPDX-License-Identifier: GPL-2.0-only
/*
 * Dropping a page: out of the page cache, back to the pool.
 */

#include <linux/delay.h>
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/rmap.h>
#include <linux/swap.h>

#include "cachex.h"

/* How long, and how often, one that has failed is waited for. */
#define HELD_TRIES	10
#define HELD_US		1000

DEFINE_STATIC_CALL_NULL(cx_remove_mapping, remove_mapping);
DEFINE_STATIC_CALL_NULL(cx_try_to_unmap, try_to_unmap);
DEFINE_STATIC_CALL_NULL(cx_folio_referenced, folio_referenced);

/* All of them are found; else there can be pages yet, of a time when this was loaded before. */
static bool ready;

/**
 * cx_drop_init() - find what dropping takes
 *
 * Context: process context, may sleep.
 * Return: 0 or -EOPNOTSUPP: then nothing may be stored.
 */
int cx_drop_init(void)
{
	struct pmem_tier_feature *f = &cx_feature;
	void *remove = pmem_tier_symbol(f,
					"long remove_mapping(struct address_space *, struct folio *)");
	void *unmap = pmem_tier_symbol(f,
				       "void try_to_unmap(struct folio *, enum ttu_flags)");
	void *referenced = pmem_tier_symbol(f,
					    "int folio_referenced(struct folio *, int, struct mem_cgroup *, unsigned long *)");

	if (!remove || !unmap || !referenced)
		return -EOPNOTSUPP;
	static_call_update(cx_remove_mapping, remove);
	static_call_update(cx_try_to_unmap, unmap);
	static_call_update(cx_folio_referenced, referenced);
	/* Pairs with get(). */
	smp_store_release(&ready, true);
	return 0;
}

/**
 * cx_get() - get and lock a page, if it is one of the page cache
 * @ct: its tier
 * @index: the page, which may be something else by now
 * @wait: wait for the lock
 *
 * Once there is a reference, the page stays what it is.
 *
 * Context: any; with @wait process context, may sleep.
 * Return: the page, with a reference and locked; or NULL.
 */
struct folio *cx_get(struct cx_tier *ct, unsigned long index, bool wait)
{
	struct folio *folio = page_folio(pmem_tier_index_page(ct->tier, index));

	/* Pairs with cx_drop_init(). */
	if (!smp_load_acquire(&ready) || !folio_try_get(folio))
		return NULL;
	if (!pmem_tier_index_cached(ct->tier, index))
		goto put;
	if (wait ? folio_lock_killable(folio) : !folio_trylock(folio))
		goto put;
	return folio;
put:
	folio_put(folio);
	return NULL;
}

/**
 * cx_used() - has a page been used since the last time that this was asked?
 * @ct: its tier
 * @index: the page
 *
 * By read(2) and the like, or through mappings that are gone. It counts as a hit.
 *
 * Context: any.
 * Return: true if so.
 */
bool cx_used(struct cx_tier *ct, unsigned long index)
{
	if (!pmem_tier_cached_used(pmem_tier_index_page(ct->tier, index)))
		return false;
	cx_count(READ_ONCE(ct->pages[index].target), CX_HITS, 1);
	return true;
}

/* The same, through mappings that are there. Locked pages are used all the time. */
static bool used_mapped(struct cx_tier *ct, unsigned long index,
			struct folio *folio)
{
	unsigned long vm_flags = 0;

	if (!folio_mapped(folio))
		return false;
	if (static_call(cx_folio_referenced)(folio, 1, NULL, &vm_flags))
		cx_count(READ_ONCE(ct->pages[index].target), CX_HITS, 1);
	else if (!(vm_flags & VM_LOCKED))
		return false;
	return true;
}

/**
 * cx_look() - has a page been used before this look, and those before it?
 * @ct: its tier
 * @index: the page, which may be something else by now
 *
 * Remembers what it sees.
 *
 * Context: process context, may sleep.
 * Return: true if so, however it was used: it is hot.
 */
bool cx_look(struct cx_tier *ct, unsigned long index)
{
	struct folio *folio = cx_get(ct, index, false);
	unsigned int uses;
	bool used;

	if (!folio)
		return false;
	used = cx_used(ct, index);
	used |= used_mapped(ct, index, folio);
	uses = used ? min(ct->pages[index].uses + 1U, CX_USES_HOT) : 0;
	ct->pages[index].uses = uses;
	folio_unlock(folio);
	folio_put(folio);
	return uses == CX_USES_HOT;
}

/* Is a page in use? Forgets the accesses that it finds, or one that promotion found. */
static bool is_hot(struct cx_tier *ct, unsigned long index, struct folio *folio)
{
	unsigned int uses = ct->pages[index].uses;
	bool used = cx_used(ct, index);

	used |= used_mapped(ct, index, folio);
	if (used || !uses)
		return used;
	ct->pages[index].uses = uses - 1;
	return true;
}

/**
 * cx_unmap() - unmap a page wherever it is mapped
 * @folio: the page, locked
 * @how: CX_QUICK doesn't, CX_FORCE does if it is locked in memory, too
 *
 * Context: process context, may sleep; CX_QUICK: any.
 * Return: true when it isn't mapped any more.
 */
bool cx_unmap(struct folio *folio, enum cx_how how)
{
	if (!folio_mapped(folio))
		return true;
	if (how == CX_QUICK)
		return false;
	static_call(cx_try_to_unmap)(folio,
				     how == CX_FORCE ? TTU_IGNORE_MLOCK : 0);
	return !folio_mapped(folio);
}

/* While there is a reference to it the page's target is the one that it was taken for. */
static void count_as(struct cx_tier *ct, unsigned long index, enum cx_stat as)
{
	cx_count(READ_ONCE(ct->pages[index].target), as, 1);
}

static bool release(struct folio *folio, enum cx_how how)
{
	if (!folio_test_private(folio) && !folio_test_private_2(folio))
		return true;
	return how != CX_QUICK && filemap_release_folio(folio, GFP_NOFS);
}

/* As reclaim does it, step by step. The folio is locked and ours is the one extra reference. */
static bool take_out(struct cx_tier *ct, struct folio *folio, enum cx_how how)
{
	unsigned long index = pmem_tier_page_index(ct->tier, &folio->page);
	struct address_space *mapping = folio_mapping(folio);

	if (!mapping || folio_test_writeback(folio))
		return false;
	if (how == CX_COLD && is_hot(ct, index, folio))
		return false;
	if (!cx_unmap(folio, how) || folio_test_dirty(folio) ||
	    !release(folio, how))
		return false;
	/* Looks for other references, and then once more whether it is dirty. */
	return static_call(cx_remove_mapping)(mapping, folio);
}

/**
 * cx_drop() - drop a page, if it isn't in use
 * @ct: its tier
 * @index: the page, which may be something else by now
 * @how: how much may be done
 * @as: what that counts as
 *
 * Context: CX_QUICK: any with interrupts enabled; else process context, may sleep.
 * Return: true when it was dropped.
 */
bool cx_drop(struct cx_tier *ct, unsigned long index, enum cx_how how,
	     enum cx_stat as)
{
	struct folio *folio = cx_get(ct, index, false);
	bool dropped;

	if (!folio)
		return false;
	dropped = take_out(ct, folio, how);
	if (dropped)
		count_as(ct, index, as);
	folio_unlock(folio);
	folio_put(folio);
	return dropped;
}

/**
 * cx_drop_if_small() - drop a page of a small file, if it isn't in use
 * @ct: its tier
 * @index: the page, which may be something else by now
 * @pages: a file is small that has so many pages in the page cache, or fewer
 *
 * Context: any with interrupts enabled.
 * Return: true when it was dropped, which it counts.
 */
bool cx_drop_if_small(struct cx_tier *ct, unsigned long index,
		      unsigned long pages)
{
	struct folio *folio = cx_get(ct, index, false);
	struct address_space *mapping;
	bool dropped;

	if (!folio)
		return false;
	mapping = folio_mapping(folio);
	dropped = mapping && READ_ONCE(mapping->nrpages) <= pages &&
		  take_out(ct, folio, CX_QUICK);
	if (dropped)
		count_as(ct, index, CX_SMALL);
	folio_unlock(folio);
	folio_put(folio);
	return dropped;
}

/*
 * Write a dirty page back, and wait. The lock keeps the inode; behind it a reference does, for
 * which the superblock must not be on its way out, or it would find a busy inode. As
 * writeback does it: nobody unmounts while s_umount is held. Unlocks the folio.
 */
static void clean(struct folio *folio)
{
	struct address_space *mapping = folio_mapping(folio);
	struct super_block *sb = mapping->host->i_sb;
	struct inode *inode = NULL;
	loff_t pos = folio_pos(folio);

	if (!down_read_trylock(&sb->s_umount)) {
		folio_unlock(folio);
		return;
	}
	/* Of a frozen filesystem nothing can be written; while this is held it won't freeze. */
	if (sb->s_writers.frozen == SB_UNFROZEN && sb->s_root &&
	    sb->s_flags & SB_ACTIVE)
		inode = igrab(mapping->host);
	folio_unlock(folio);
	if (inode) {
		/* An error stays for who syncs: nobody hears of it here. */
		filemap_fdatawrite_range(mapping, pos, pos + PAGE_SIZE - 1);
		filemap_fdatawait_range_keep_errors(mapping, pos,
						    pos + PAGE_SIZE - 1);
		iput(inode);
	}
	up_read(&sb->s_umount);
}

/**
 * cx_drop_wait() - drop a page, whatever it takes
 * @ct: its tier
 * @index: the page
 *
 * Dirty pages are written back first.
 *
 * Context: process context, may sleep for I/O.
 * Return: true when it is gone; else somebody holds it, or it was in use for a moment.
 */
bool cx_drop_wait(struct cx_tier *ct, unsigned long index)
{
	struct folio *folio = cx_get(ct, index, true);
	bool dropped;

	if (!folio)
		return !pmem_tier_index_cached(ct->tier, index);
	folio_wait_writeback(folio);
	dropped = take_out(ct, folio, CX_FORCE);
	if (!dropped && folio_test_dirty(folio) && folio_mapping(folio))
		clean(folio);
	else
		folio_unlock(folio);
	folio_put(folio);
	return dropped;
}

/**
 * cx_long_pin() - drop a page that somebody wants to pin for long
 * @tier: its tier
 * @index: the page, which may be something else by now
 *
 * What is on disk comes back in DRAM when the one who pins looks again.
 *
 * Context: process context, may sleep for I/O.
 * Return: 0 when it is gone from the page cache, else -EBUSY.
 */
int cx_long_pin(struct pmem_tier *tier, unsigned long index)
{
	return cx_drop_wait(tier->priv[PMEM_TIER_CACHE], index) ? 0 : -EBUSY;
}

/*
 * What is written is lost: whoever has it mapped is killed when he looks at it, whoever syncs is
 * told, for as long as it is dirty.
 */
static void lose(struct cx_tier *ct, struct folio *folio,
		 struct address_space *mapping)
{
	if (folio_mapped(folio)) {
		pmem_tier_leave_hwpoison(ct->tier);
		static_call(cx_try_to_unmap)(folio, TTU_IGNORE_MLOCK |
						    TTU_SYNC | TTU_HWPOISON);
	}
	mapping_set_error(mapping, -EIO);
}

/*
 * Away with it though it is dirty, or somebody holds it. As memory_failure() does it for mm's own
 * pages: some filesystems, and block devices, have no way to. There it stays, mapped by nobody,
 * until it has been written and is let go of.
 */
static bool punch_out(struct cx_tier *ct, struct folio *folio)
{
	struct address_space *mapping = folio_mapping(folio);

	if (!mapping)
		return false;
	if (folio_test_dirty(folio))
		lose(ct, folio, mapping);
	if (folio_mapped(folio) || !mapping->a_ops->error_remove_folio)
		return false;
	return !mapping->a_ops->error_remove_folio(mapping, folio);
}

/*
 * Has anybody a reference to a page that is gone from the page cache? Those who waited for its
 * lock have one until they run. We have none: two that ask would wait for each other. The page has
 * failed, so it doesn't become another one's.
 */
static bool is_held(const struct page *page)
{
	int tries;

	if (!page_count(page))
		return false;
	pmem_tier_drop_cpu_refs();
	for (tries = HELD_TRIES; page_count(page) && tries; tries--)
		fsleep(HELD_US);
	return page_count(page);
}

/**
 * cx_poisoned() - a page has failed
 * @tier: its tier
 * @index: the page; it is marked bad and won't be used again
 * @flags: of memory_failure()
 *
 * One that is clean goes, and comes back from the disk when somebody looks. Who holds it, in a
 * pipe, has it still.
 *
 * Context: process context, may sleep.
 * Return: true when it is gone from the page cache, and nobody holds it.
 */
bool cx_poisoned(struct pmem_tier *tier, unsigned long index, int flags)
{
	struct page *page = pmem_tier_index_page(tier, index);
	struct cx_tier *ct = tier->priv[PMEM_TIER_CACHE];
	struct folio *folio = cx_get(ct, index, true);
	bool gone;

	if (!folio)
		return !page_count(page) ||
		       !pmem_tier_index_cached(tier, index);
	folio_wait_writeback(folio);
	/*
	 * Whoever had it locked may have taken it out. While it is locked, a page that isn't
	 * dirty can't be written through a mapping either: that takes ->page_mkwrite().
	 */
	gone = !folio->mapping ||
	       (!folio_test_dirty(folio) && take_out(ct, folio, CX_FORCE));
	/* It is dirty once it is unmapped, perhaps. */
	if (!gone) {
		/* If it stays, nobody maps it again, and promotion looks after it. */
		SetPageHWPoison(page);
		gone = punch_out(ct, folio);
	}
	folio_unlock(folio);
	folio_put(folio);
	return gone && !is_held(page);
}
