// SPDX-License-Identifier: GPL-2.0-only
/*
 * Wiping: what was in the pool doesn't outlive its owner on the media.
 */
#define pr_fmt(fmt) "pmem_tier: " fmt

/**
 * DOC: wiping
 *
 * What is in a page of the pool was somebody's memory or file. By the parameter "wipe"
 *
 * - WIPE_RELEASE: it is overwritten with zeros when the namespace is given back, as far as
 *   pages were handed out. That is noted in chunks of pages, so that what it costs
 *   when a page is taken is a look at one bit, and small pools don't take long;
 * - WIPE_FREE: each page is overwritten when it is free again, by a work item. Until then it is
 *   as taken; if no other is free it is wiped on the spot, by who wants a page. The one that
 *   the work item is at is free in a moment: who finds no other looks again;
 * - WIPE_NONE: nothing is.
 *
 * The header says that there may be something from before the first page is handed out
 * until all is wiped. So what a crash (or WIPE_NONE) left is wiped before the pool is used again,
 * and where the pool was then and the memory map is to be now: that doesn't fill all of its place.
 *
 * A system that comes back from hibernation doesn't know what the kernel that loaded the image has
 * done with the namespace, if it claimed it. So all of it counts as handed out.
 *
 * A page with a media error can't be written, perhaps isn't even mapped: it is left alone.
 */

#include <linux/bitmap.h>
#include <linux/io.h>
#include <linux/irqflags.h>
#include <linux/libnvdimm.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/seqlock.h>
#include <linux/vmalloc.h>
#include <linux/workqueue.h>

#include "core.h"

static size_t bitmap_bytes(unsigned long bits)
{
	return BITS_TO_LONGS(bits) * sizeof(long);
}

static unsigned long nr_chunks(const struct tier_ns *ns)
{
	return DIV_ROUND_UP(ns->tier.nr_pages, 1UL << WIPE_CHUNK_SHIFT);
}

/* The caller has the page; who makes it others' passes a wmb() before. */
static void wipe_page(struct tier_ns *ns, unsigned long index)
{
	if (!pmem_tier_index_bad(&ns->tier, index))
		pmem_tier_copy_in(&ns->tier, index,
				  page_address(ZERO_PAGE(0)));
}

static unsigned long next_freed(struct tier_ns *ns, unsigned long from,
				unsigned long end)
{
	/* A hint: take_freed() decides. */
	return data_race(find_next_bit(ns->freed, end, from));
}

static bool take_freed(struct tier_ns *ns, unsigned long index)
{
	if (!test_and_clear_bit(index, ns->freed))
		return false;
	atomic_long_dec(&ns->nr_freed);
	return true;
}

static void wipe_freed(struct work_struct *work)
{
	struct tier_ns *ns = container_of(work, struct tier_ns, wipe_work);
	unsigned long index, end = ns->tier.nr_pages, flags;

	for (index = 0; (index = next_freed(ns, index, end)) < end; index++) {
		/* Who waits for the page doesn't wait for another task. */
		local_irq_save(flags);
		write_seqcount_begin(&ns->wiping);
		/* An allocation may be faster. */
		if (take_freed(ns, index)) {
			wipe_page(ns, index);
			/* Non-temporal stores before its next owner's. */
			wmb();
			freemap_put(&ns->free, index);
		}
		write_seqcount_end(&ns->wiping);
		local_irq_restore(flags);
		cond_resched();
	}
}

/**
 * tier_wipe_init() - set up wiping
 * @ns: the tier, with wipe, nr_pages and nid set
 *
 * Context: process context, may sleep.
 * Return: 0 or -ENOMEM.
 */
int tier_wipe_init(struct tier_ns *ns)
{
	INIT_WORK(&ns->wipe_work, wipe_freed);
	seqcount_init(&ns->wiping);
	ns->tier.wipe_free = ns->wipe == WIPE_FREE;
	ns->handed_out = vzalloc_node(bitmap_bytes(nr_chunks(ns)),
				      ns->tier.nid);
	if (!ns->handed_out)
		return -ENOMEM;
	if (ns->wipe != WIPE_FREE)
		return 0;
	ns->freed = vzalloc_node(bitmap_bytes(ns->tier.nr_pages), ns->tier.nid);
	if (!ns->freed) {
		vfree(ns->handed_out);
		return -ENOMEM;
	}
	return 0;
}

/**
 * tier_wipe_destroy() - undo tier_wipe_init()
 * @ns: the tier
 *
 * Context: process context, may sleep.
 */
void tier_wipe_destroy(struct tier_ns *ns)
{
	vfree(ns->freed);
	vfree(ns->handed_out);
}

/**
 * tier_wipe_bytes() - memory that wiping takes
 * @ns: the tier
 *
 * Return: bytes of DRAM.
 */
unsigned long tier_wipe_bytes(const struct tier_ns *ns)
{
	return PAGE_ALIGN(bitmap_bytes(nr_chunks(ns))) +
	       (ns->freed ? PAGE_ALIGN(bitmap_bytes(ns->tier.nr_pages)) : 0);
}

/**
 * tier_wipe_later() - a page is free, once it is wiped
 * @ns: the tier, WIPE_FREE
 * @index: the page, nobody's
 *
 * Context: any, interrupts in any state; doesn't sleep or take locks.
 */
void tier_wipe_later(struct tier_ns *ns, unsigned long index)
{
	/* Before the bit: who sees that there is none is right. */
	atomic_long_inc(&ns->nr_freed);
	/* What was done with the page comes before: pairs with test_and_clear_bit(). */
	smp_mb__before_atomic();
	set_bit(index, ns->freed);
	queue_work(system_unbound_wq, &ns->wipe_work);
}

static long take_between(struct tier_ns *ns, unsigned long index,
			 unsigned long end)
{
	for (; (index = next_freed(ns, index, end)) < end; index++) {
		if (!take_freed(ns, index))
			continue;
		if (!pmem_tier_index_bad(&ns->tier, index)) {
			WRITE_ONCE(ns->freed_from, index + 1);
			wipe_page(ns, index);
			return index;
		}
		freemap_put(&ns->free, index);
	}
	return -ENOSPC;
}

static long take_waiting(struct tier_ns *ns)
{
	unsigned long from = READ_ONCE(ns->freed_from);
	long index;

	/* A full pool is asked for a page each time that something is to be swapped out. */
	if (!atomic_long_read(&ns->nr_freed))
		return -ENOSPC;
	index = take_between(ns, from, ns->tier.nr_pages);
	return index < 0 ? take_between(ns, 0, from) : index;
}

/**
 * tier_wipe_take() - take a page that waits for being wiped
 * @ns: the tier, WIPE_FREE
 * @cursor: of this CPU, for one that has been wiped since the caller looked
 *
 * Context: any; doesn't sleep.
 * Return: its index, or -ENOSPC when none waits and none is free.
 */
long tier_wipe_take(struct tier_ns *ns, unsigned long *cursor)
{
	unsigned int seq;
	long index;

	do {
		seq = raw_seqcount_begin(&ns->wiping);
		index = take_waiting(ns);
		if (index < 0)
			index = freemap_get(&ns->free, cursor, 0);
	} while (index < 0 && read_seqcount_retry(&ns->wiping, seq));
	return index;
}

static void wipe_pages(struct tier_ns *ns, unsigned long first,
		       unsigned long end)
{
	for (; first < end; first++)
		wipe_page(ns, first);
	/* All of it is on the media when the header says so, which is flushed. */
	wmb();
	cond_resched();
}

/* Is there something from an earlier use, and is it to go? */
static bool must_wipe(const struct tier_ns *ns)
{
	return ns->has_data && ns->wipe != WIPE_NONE;
}

/**
 * tier_wipe_memmap() - wipe what an earlier use left where the memory map will lie
 * @ns: the tier, with phys and wipe set, and has_data; it has no struct pages yet
 * @bytes: what lies between the head guard and the pool, without a known media error
 *
 * Context: process context, may sleep.
 * Return: 0 or -ENOMEM.
 */
int tier_wipe_memmap(struct tier_ns *ns, u64 bytes)
{
	void *addr;
	u64 at, n;

	if (!must_wipe(ns))
		return 0;
	addr = memremap(ns->phys + GUARD_BYTES, bytes, MEMREMAP_WB);
	if (!addr)
		return -ENOMEM;
	for (at = 0; at < bytes; at += n) {
		n = min_t(u64, bytes - at, PAGE_SIZE << WIPE_CHUNK_SHIFT);
		memset(addr + at, 0, n);
		arch_wb_cache_pmem(addr + at, n);
		cond_resched();
	}
	memunmap(addr);
	return 0;
}

/**
 * tier_wipe_before_use() - wipe what an earlier use left, if there may be something
 * @ns: the tier, its pool set up and not in use
 *
 * Context: process context, may sleep; takes as long as writing all of the pool.
 */
void tier_wipe_before_use(struct tier_ns *ns)
{
	unsigned long at;

	if (!must_wipe(ns))
		return;
	pr_info("%s: wiping what an earlier use left in %lu pages\n",
		ns->tier.name, ns->tier.nr_pages);
	for (at = 0; at < ns->tier.nr_pages; at += 1UL << WIPE_CHUNK_SHIFT)
		wipe_pages(ns, at, min(at + (1UL << WIPE_CHUNK_SHIFT),
				       ns->tier.nr_pages));
	ns->has_data = false;
}

/**
 * tier_wipe_all() - somebody else may have used the pool
 * @ns: the tier
 *
 * All of it will be wiped after use, unless nothing is.
 *
 * Context: process context, under tier_lock.
 */
void tier_wipe_all(struct tier_ns *ns)
{
	ns->wipe_all = true;
}

/**
 * tier_wipe_after_use() - the pool won't be used any more
 * @ns: the tier, every page of it free
 *
 * Wipes it if that is the policy; has_data tells what is left.
 *
 * Context: process context, may sleep.
 */
void tier_wipe_after_use(struct tier_ns *ns)
{
	unsigned long chunk, at;

	flush_work(&ns->wipe_work);
	if (ns->wipe_all)
		bitmap_fill(ns->handed_out, nr_chunks(ns));
	for_each_set_bit(chunk, ns->handed_out, nr_chunks(ns)) {
		if (ns->wipe == WIPE_NONE)
			ns->has_data = true;
		if (ns->wipe == WIPE_NONE ||
		    (ns->wipe == WIPE_FREE && !ns->wipe_all))
			break;
		at = chunk << WIPE_CHUNK_SHIFT;
		wipe_pages(ns, at, min(at + (1UL << WIPE_CHUNK_SHIFT),
				       ns->tier.nr_pages));
	}
}
