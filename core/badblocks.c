// SPDX-License-Identifier: GPL-2.0-only
/*
 * Known media errors: keep them out of the pool.
 */
#define pr_fmt(fmt) "pmem_tier: " fmt

/**
 * DOC: known media errors
 *
 * They are those that libnvdimm knows of, and pages that mm said have failed, or that a copy
 * of ours couldn't read. Not every platform tells libnvdimm of these, and it forgets what it is
 * told to clear: so they are noted here until the module goes, by page frame number.
 *
 * What handled the machine check has taken the page out of the direct map. When a range
 * goes, its page tables must not keep that: the next mapping of it, whoever's that is, would have a
 * hole.
 */

#include <linux/libnvdimm.h>
#include <linux/mm.h>
#include <linux/set_memory.h>
#include <linux/xarray.h>

#include "compat.h"
#include "core.h"

/* A window of this many bytes can't hold more ranges than struct badblocks. */
#define WINDOW_MIN	((u64)MAX_BADBLOCKS * SECTOR_SIZE)

/*
 * Page frames that have failed; the values say nothing. The xarray has a lock for changes, which is
 * taken in any context.
 */
static DEFINE_XARRAY_FLAGS(failed, XA_FLAGS_LOCK_IRQ);

typedef bool (*bad_fn)(struct tier_ns *ns, u64 offset, u64 bytes, void *data);

/* The known bad ranges in a part of the namespace. Returns true to stop. */
static bool each_bad_in(struct tier_ns *ns, struct badblocks *bb, u64 start,
			u64 bytes, void *data, bad_fn fn)
{
	sector_t sector = 0, end = bytes >> SECTOR_SHIFT, first;
	int bad;

	while (sector < end) {
		int span = min_t(sector_t, end - sector, SZ_1G >> SECTOR_SHIFT);

		if (!badblocks_check(bb, sector, span, &first, &bad)) {
			sector += span;
			continue;
		}
		if (fn(ns, start + (first << SECTOR_SHIFT),
		       (u64)bad << SECTOR_SHIFT, data))
			return true;
		sector = first + bad;
	}
	return false;
}

/* The same for pages that have failed. */
static bool each_failed(struct tier_ns *ns, void *data, bad_fn fn)
{
	unsigned long pfn, first = PHYS_PFN(ns->phys);
	void *entry;

	xa_for_each_range(&failed, pfn, entry, first,
			  first + PHYS_PFN(ns->size) - 1)
		if (fn(ns, PFN_PHYS(pfn - first), PAGE_SIZE, data))
			return true;
	return false;
}

/*
 * Call fn for each known bad range of the namespace, stop when it says so. What
 * doesn't fit into a struct badblocks is dropped silently, so look at smaller
 * parts where one is full.
 */
static int each_bad(struct tier_ns *ns, void *data, bad_fn fn)
{
	bool stop = each_failed(ns, data, fn);
	u64 start = 0, bytes = ns->size;
	struct badblocks bb;

	while (start < ns->size && !stop) {
		struct range range;
		int err;

		bytes = min_t(u64, bytes, ns->size - start);
		range.start = ns->phys + start;
		range.end = range.start + bytes - 1;
		err = badblocks_init(&bb, 1);
		if (err)
			return err;
		nvdimm_badblocks_populate(to_nd_region(ns->tier.dev->parent),
					  &bb, &range);
		if (bb.count >= MAX_BADBLOCKS && bytes > WINDOW_MIN) {
			bytes = max(WINDOW_MIN, ALIGN_DOWN(bytes / 2, WINDOW_MIN));
		} else {
			stop = each_bad_in(ns, &bb, start, bytes, data, fn);
			start += bytes;
			bytes *= 2;
		}
		badblocks_exit(&bb);
	}
	return 0;
}

static bool mark(struct tier_ns *ns, u64 offset, u64 bytes, void *data)
{
	tier_pool_mark_bad(ns, offset, bytes);
	return false;
}

/**
 * tier_badblocks_apply() - mark the pages with known media errors in the pool
 * @ns: the tier, its pool set up
 *
 * Context: process context, may sleep.
 * Return: 0 or -ENOMEM.
 */
int tier_badblocks_apply(struct tier_ns *ns)
{
	return each_bad(ns, NULL, mark);
}

struct overlap {
	u64 offset;
	u64 bytes;
	bool found;
};

static bool overlaps(struct tier_ns *ns, u64 offset, u64 bytes, void *data)
{
	struct overlap *o = data;

	o->found = offset < o->offset + o->bytes && o->offset < offset + bytes;
	return o->found;
}

/**
 * tier_badblocks_in() - is there a known media error in a range?
 * @ns: the tier, with phys and size set
 * @offset: begin of the range, in bytes from the start of the namespace
 * @bytes: its length
 *
 * Context: process context, may sleep.
 * Return: 1 when there is one, 0 when there is none, or -ENOMEM.
 */
int tier_badblocks_in(struct tier_ns *ns, u64 offset, u64 bytes)
{
	struct overlap o = { .offset = offset, .bytes = bytes };

	return each_bad(ns, &o, overlaps) ?: o.found;
}

/**
 * tier_badblocks_failed() - a page has failed
 * @pfn: its page frame
 * @gfp: GFP_KERNEL, or GFP_ATOMIC
 *
 * Context: any with GFP_ATOMIC; else process context, may sleep.
 */
void tier_badblocks_failed(unsigned long pfn, gfp_t gfp)
{
	unsigned long flags;
	void *old;

	xa_lock_irqsave(&failed, flags);
	/* Lets go of the lock to sleep. */
	old = __xa_store(&failed, pfn, xa_mk_value(0), gfp);
	xa_unlock_irqrestore(&failed, flags);
	if (xa_err(old))
		pr_warn_ratelimited("no memory to note that page frame %#lx has failed: it may be used again once its namespace was given back\n",
				    pfn);
}

static bool make_present(struct tier_ns *ns, u64 offset, u64 bytes, void *data)
{
	unsigned long pfn = PHYS_PFN(ns->phys + offset);

	if (clear_mce_nospec(pfn))
		pr_warn_ratelimited("%s: page frame %#lx, which has failed, can't be mapped again\n",
				    ns->tier.name, pfn);
	return false;
}

/**
 * tier_badblocks_unmap() - the direct map of a range is about to go
 * @ns: the tier; nobody uses its pages any more
 *
 * Context: process context, may sleep.
 */
void tier_badblocks_unmap(struct tier_ns *ns)
{
	each_failed(ns, NULL, make_present);
}

/**
 * tier_badblocks_exit() - forget all pages that have failed
 *
 * Context: process context; there is no tier any more.
 */
void tier_badblocks_exit(void)
{
	xa_destroy(&failed);
}
