// SPDX-License-Identifier: GPL-2.0-only
/*
 * Storing a page in a slot, loading it, emptying the slot.
 */

#include <linux/string.h>

#include "compress.h"
#include "pmemswap.h"
#include "trace.h"

/* The old content of a slot is nobody's any more. */
static __always_inline void drop(struct pmemswap *ps, unsigned long word)
{
	if (likely(slot_kind(word) == SLOT_RAW)) {
		ps_count(ps, PS_SLOTS_RAW, -1);
		pmem_tier_free(ps->tier, slot_page(word), PMEM_TIER_SWAP);
		return;
	}
	switch (slot_kind(word)) {
	case SLOT_RAW:
		break;
	case SLOT_SAME:
		ps_count(ps, PS_SLOTS_SAME, -1);
		break;
	case SLOT_PACKED:
		ps_packed_drop(ps, word);
		break;
	case SLOT_LENT:
		/* mm has the page: it comes back through ps_page_free(). */
		ps_orphan(ps);
		ps_count(ps, PS_SLOTS_RAW, -1);
		ps_count(ps, PS_LENT, -1);
		break;
	case SLOT_SHARED:
	case SLOT_MOVING:
		/* As before, and the slot may have a reference. */
		ps_orphan(ps);
		ps_count(ps, PS_SHARED, -1);
		ps_count(ps, PS_SLOTS_RAW, -1);
		ps_count(ps, PS_LENT, -1);
		if (slot_kind(word) == SLOT_SHARED)
			put_page(pmem_tier_index_page(ps->tier,
						      slot_payload(word)));
		break;
	case SLOT_LEAVING:
		ps_count(ps, PS_SLOTS_RAW, -1);
		put_page(pmem_tier_index_page(ps->tier, slot_payload(word)));
		break;
	case SLOT_EMPTY:
		break;
	}
}

/* Overwrite the page that the slot has, if it has a good one. */
static bool store_in_place(struct pmemswap *ps, struct slot *slot,
			   const void *src, bool *bad)
{
	unsigned long word;
	bool done = false;

	/* A hint, to spare the usual first write of a slot the locked look. */
	if (slot_kind(READ_ONCE(slot->word)) != SLOT_RAW)
		return false;

	slot_lock(slot);
	word = slot_get(slot);
	if (slot_kind(word) == SLOT_RAW) {
		*bad = pmem_tier_index_bad(ps->tier, slot_page(word));
		if (!*bad) {
			pmem_tier_copy_in(ps->tier, slot_page(word), src);
			/* Who is compressing it has lost. */
			slot_set(slot, ps_raw_word(slot_page(word)));
			/*
			 * Non-temporal stores before the unlock; pairs with
			 * slot_lock() of a reader.
			 */
			wmb();
			done = true;
		}
	}
	slot_unlock(slot);
	return done;
}

static blk_status_t store_raw(struct pmemswap *ps, struct slot *slot,
			      const void *src)
{
	bool bad = false;
	long page;

	if (store_in_place(ps, slot, src, &bad))
		return BLK_STS_OK;

	page = pmem_tier_alloc(ps->tier, PMEM_TIER_SWAP);
	if (page < 0) {
		ps_count(ps, bad ? PS_FAILED_WRITE_MEDIA : PS_FAILED_WRITE_FULL,
			 1);
		ps_compress_kick(ps);
		return bad ? BLK_STS_IOERR : BLK_STS_NOSPC;
	}
	pmem_tier_copy_in(ps->tier, page, src);
	/*
	 * Non-temporal stores before the slot's word; pairs with slot_lock() of
	 * a reader that finds the page through it.
	 */
	wmb();
	drop(ps, slot_exchange(slot, ps_raw_word(page)));
	ps_count(ps, PS_SLOTS_RAW, 1);
	return BLK_STS_OK;
}

/**
 * ps_store() - store a page of data in a slot
 * @ps: the device
 * @index: the slot
 * @src: PAGE_SIZE bytes, aligned to 8
 *
 * Concurrent stores to one slot leave the data of one of them, or for a slot that
 * had data before, of both torn, as with any memory-like device.
 *
 * Context: any but interrupts. Neither sleeps nor allocates memory: this is
 * page-out.
 * Return: BLK_STS_OK; BLK_STS_NOSPC when the pool is empty; BLK_STS_IOERR when
 * the slot's page went bad and there is no other.
 */
blk_status_t ps_store(struct pmemswap *ps, unsigned long index,
		      const void *src)
{
	struct slot *slot = &ps->slots[index];
	blk_status_t status;
	u32 value;

	if (slot_same_filled(src, &value)) {
		drop(ps, slot_exchange(slot, slot_word(SLOT_SAME, value)));
		ps_count(ps, PS_SLOTS_SAME, 1);
		ps_count(ps, PS_SAME_FILLED, 1);
		trace_slot_write(ps->id, index, true, 0);
	} else {
		status = store_raw(ps, slot, src);
		trace_slot_write(ps->id, index, false,
				 blk_status_to_errno(status));
		if (status)
			return status;
	}
	ps_count(ps, PS_WRITTEN, 1);
	return BLK_STS_OK;
}

/* What a slot without a page of its own reads as. */
static noinline void load_pageless(struct pmemswap *ps, unsigned long index,
				   unsigned long word, void *dst)
{
	if (slot_kind(word) == SLOT_SAME)
		memset32(dst, slot_payload(word), PAGE_SIZE / sizeof(u32));
	else if (index)
		memset(dst, 0, PAGE_SIZE);
	else
		ps_header_fill(ps, dst);
}

/* A compressed slot; -EAGAIN when it isn't one any more. */
static noinline int load_packed(struct pmemswap *ps, unsigned long index,
				void *dst)
{
	int err = ps_unpack(ps, index, dst);

	if (likely(!err))
		ps_count(ps, PS_DECOMPRESSED_IN, 1);
	else if (err == -EIO)
		ps_count(ps, PS_FAILED_READ_MEDIA, 1);
	else if (err == -EBADMSG)
		ps_count(ps, PS_FAILED_READ_DAMAGED, 1);
	return err;
}

/* Reading is a touch: the slot isn't cold, and who is compressing it has lost. */
static void touch(struct slot *slot, unsigned long word)
{
	if (slot_kind(word) == SLOT_RAW)
		slot_set(slot, ps_raw_word(slot_page(word)) |
			       (word & SLOT_TRIED));
}

/**
 * ps_load() - copy the data of a slot
 * @ps: the device
 * @index: the slot
 * @dst: where PAGE_SIZE bytes go, aligned to 4
 *
 * Context: any but interrupts. Doesn't sleep.
 * Return: BLK_STS_OK, or BLK_STS_IOERR when the media failed or data is damaged.
 */
blk_status_t ps_load(struct pmemswap *ps, unsigned long index, void *dst)
{
	struct slot *slot = &ps->slots[index];
	unsigned long word;
	int err;

again:
	slot_lock(slot);
	word = slot_get(slot);
	if (unlikely(!slot_has_page(word))) {
		slot_unlock(slot);
		if (slot_kind(word) == SLOT_PACKED) {
			err = load_packed(ps, index, dst);
			if (err == -EAGAIN)
				goto again;
			if (err)
				return BLK_STS_IOERR;
			goto out;
		}
		load_pageless(ps, index, word, dst);
		goto out;
	}
	/* Under the lock, or the page could become another slot's. */
	err = pmem_tier_index_bad(ps->tier, slot_page(word)) ? -EIO :
	      pmem_tier_copy_out(ps->tier, slot_page(word), dst);
	touch(slot, word);
	slot_unlock(slot);
	if (unlikely(err)) {
		ps_count(ps, PS_FAILED_READ_MEDIA, 1);
		return BLK_STS_IOERR;
	}
out:
	ps_count(ps, PS_COPIED_IN, 1);
	return BLK_STS_OK;
}

/* Returns true when there was data. */
static __always_inline bool empty(struct pmemswap *ps, unsigned long index)
{
	struct slot *slot = &ps->slots[index];
	unsigned long word;

	/*
	 * Nobody who cares stores to a slot while another empties it, so what
	 * this look misses might as well have come later.
	 */
	if (slot_kind(READ_ONCE(slot->word)) == SLOT_EMPTY)
		return false;
	word = slot_exchange(slot, slot_word(SLOT_EMPTY, 0));
	drop(ps, word);
	return slot_kind(word) != SLOT_EMPTY;
}

/**
 * ps_empty() - forget the data of a slot
 * @ps: the device
 * @index: the slot
 *
 * Context: any but interrupts; may be called under mm's spin locks. Doesn't
 * sleep.
 * Return: true when there was data.
 */
bool ps_empty(struct pmemswap *ps, unsigned long index)
{
	return empty(ps, index);
}

/**
 * ps_swap_slot_free_notify() - the last reference to a swap entry is gone
 * @bdev: the device
 * @index: the slot
 *
 * Once for every page that comes in, so it has a copy of what ps_empty() does.
 *
 * Context: process context, under mm's spin locks.
 */
void ps_swap_slot_free_notify(struct block_device *bdev, unsigned long index)
{
	struct pmemswap *ps = bdev->bd_disk->private_data;

	if (empty(ps, index))
		ps_count(ps, PS_FREED, 1);
}

/**
 * ps_zero() - make a slot read as zeros
 * @ps: the device
 * @index: the slot
 *
 * Context: as ps_empty().
 */
void ps_zero(struct pmemswap *ps, unsigned long index)
{
	/* An empty first slot reads as the swap header. */
	unsigned long word = index ? slot_word(SLOT_EMPTY, 0) :
				     slot_word(SLOT_SAME, 0);
	unsigned long old = slot_exchange(&ps->slots[index], word);

	drop(ps, old);
	if (!index)
		ps_count(ps, PS_SLOTS_SAME, 1);
	if (slot_kind(old) != SLOT_EMPTY)
		ps_count(ps, PS_DISCARDED, 1);
}
