/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The slot table: one word says where the data of a slot is.
 */
#ifndef _PMEMSWAP_SLOTS_H
#define _PMEMSWAP_SLOTS_H

#include <linux/atomic.h>
#include <linux/bit_spinlock.h>
#include <linux/types.h>

/**
 * DOC: slots
 *
 * A slot is a page-sized block of the swap device. Its word is:
 *
 *	bit 0		lock
 *	bits 1-4	kind, enum slot_kind
 *	bits 5-7	flags: RAW: SLOT_CLAIMED and SLOT_TRIED; PACKED: see pack.h
 *	bits 8-43	kinds with a page, and PACKED: its index
 *	bits 44-63	RAW: when it was last touched; PACKED: see pack.h
 *
 * and for SAME bits 8-39 are the repeated value.
 *
 * The lock bit protects the word and, for a raw slot, keeps the page from
 * being freed while it is copied from or to. Nothing but pack.h's lock is
 * taken under it, the holder doesn't sleep. It is never taken in interrupt
 * context; the kernel's swap code takes it under the spin locks of the swap
 * device (swap_slot_free_notify), so it is the last lock in mm's order as well.
 */
struct slot {
	unsigned long word;
};

/**
 * enum slot_kind - what a slot holds
 * @SLOT_EMPTY: nothing; reads as zeros
 * @SLOT_RAW: a page of data, in a pmem page of its own
 * @SLOT_SAME: a page of one repeated 32-bit value, in no page
 * @SLOT_LENT: as SLOT_RAW, but mm has mapped the page and may change it
 * @SLOT_SHARED: as SLOT_RAW, and mm has mapped the page, but may not change it, because
 *	there are more references to the swap entry; see shared.c
 * @SLOT_MOVING: as SLOT_SHARED, while the page may move to DRAM: the slot has no
 *	reference to it
 * @SLOT_LEAVING: as SLOT_SHARED, while swapoff is under way: the page has no
 *	reference to the swap entry
 * @SLOT_PACKED: a page of data, compressed, in pmem pages together with others
 */
enum slot_kind {
	SLOT_EMPTY = 0,
	SLOT_RAW = 1,
	SLOT_SAME = 2,
	SLOT_LENT = 3,
	SLOT_PACKED = 4,
	SLOT_SHARED = 5,
	SLOT_MOVING = 7,
	SLOT_LEAVING = 9,
};

#define SLOT_LOCK_BIT		0
#define SLOT_KIND_SHIFT		1
#define SLOT_KIND_MASK		(15UL << SLOT_KIND_SHIFT)
#define SLOT_PAYLOAD_SHIFT	8
#define SLOT_PAGE_BITS		36
#define SLOT_STAMP_SHIFT	44
#define SLOT_STAMP_MASK		(BIT(64 - SLOT_STAMP_SHIFT) - 1)

/*
 * Somebody has a copy of the data and is compressing it. Whoever changes the data, or
 * touches it, clears this, and by that wins.
 */
#define SLOT_CLAIMED		BIT(5)
/* The data has been found not worth compressing. */
#define SLOT_TRIED		BIT(6)

static inline unsigned long slot_word(enum slot_kind kind,
				      unsigned long payload)
{
	return (unsigned long)kind << SLOT_KIND_SHIFT |
	       payload << SLOT_PAYLOAD_SHIFT;
}

static inline enum slot_kind slot_kind(unsigned long word)
{
	return (word & SLOT_KIND_MASK) >> SLOT_KIND_SHIFT;
}

/* These kinds are the odd ones. */
static inline bool slot_has_page(unsigned long word)
{
	return word & BIT(SLOT_KIND_SHIFT);
}

static inline unsigned long slot_payload(unsigned long word)
{
	return word >> SLOT_PAYLOAD_SHIFT;
}

/* The page of a slot that has one. */
static inline unsigned long slot_page(unsigned long word)
{
	return slot_payload(word) & (BIT(SLOT_PAGE_BITS) - 1);
}

/* The word of a raw slot; @stamp is the time, in units of the caller's. */
static inline unsigned long slot_raw(unsigned long page, unsigned long stamp)
{
	return slot_word(SLOT_RAW, page) | stamp << SLOT_STAMP_SHIFT;
}

/* How long ago a raw slot was touched; time goes round at SLOT_STAMP_MASK. */
static inline unsigned long slot_age(unsigned long word, unsigned long now)
{
	return (now - (word >> SLOT_STAMP_SHIFT)) & SLOT_STAMP_MASK;
}

static inline void slot_lock(struct slot *slot)
{
	bit_spin_lock(SLOT_LOCK_BIT, &slot->word);
}

static inline void slot_unlock(struct slot *slot)
{
	bit_spin_unlock(SLOT_LOCK_BIT, &slot->word);
}

/* The word of a locked slot, without the lock bit. */
static inline unsigned long slot_get(const struct slot *slot)
{
	return READ_ONCE(slot->word) & ~BIT(SLOT_LOCK_BIT);
}

/* Change the word of a locked slot; it stays locked. */
static inline void slot_set(struct slot *slot, unsigned long word)
{
	WRITE_ONCE(slot->word, word | BIT(SLOT_LOCK_BIT));
}

/*
 * Lock the slot if its word is this; false when it isn't, or when it is locked. For
 * callers that can't be preempted.
 */
static inline bool slot_lock_if(struct slot *slot, unsigned long word)
{
	return likely(try_cmpxchg(&slot->word, &word,
				  word | BIT(SLOT_LOCK_BIT)));
}

/* Unlock the slot, its word is this from now on. */
static inline void slot_unlock_as(struct slot *slot, unsigned long word)
{
	/* Pairs with slot_lock(): who has it next sees what was done. */
	smp_store_release(&slot->word, word);
}

/* Change the word from @old to @new once it is unlocked; false when it isn't @old. */
static inline bool slot_change_if(struct slot *slot, unsigned long old,
				  unsigned long new)
{
	unsigned long word = old;
	bool changed;

	if (likely(try_cmpxchg(&slot->word, &word, new)))
		return true;

	slot_lock(slot);
	changed = slot_get(slot) == old;
	if (changed)
		slot_set(slot, new);
	slot_unlock(slot);
	return changed;
}

/* Change the word of an unlocked slot once it is so; returns the old word. */
static inline unsigned long slot_exchange(struct slot *slot, unsigned long word)
{
	unsigned long old = READ_ONCE(slot->word) & ~BIT(SLOT_LOCK_BIT);

	/* One atomic operation where nobody has the lock: the usual case. */
	if (likely(try_cmpxchg(&slot->word, &old, word)))
		return old;

	slot_lock(slot);
	old = slot_get(slot);
	slot_set(slot, word);
	slot_unlock(slot);
	return old;
}

bool slot_same_filled(const void *page, u32 *value);

#endif /* _PMEMSWAP_SLOTS_H */
