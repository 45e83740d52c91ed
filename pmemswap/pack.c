// SPDX-License-Identifier: GPL-2.0-only
/*
 * Packing: compressed data lies in pmem pages as in a log, without gaps.
 */

/**
 * DOC: packing
 *
 * An object, a header and compressed data, begins where the last one ended, and goes on in the
 * next page when it doesn't fit. So nothing is lost at the end of a page, whatever the sizes. All
 * that a slot's word has to say is where and how long: which page comes next is said by the page.
 *
 * There is one appender at a time. Anybody may free an object at any time: each page counts its
 * live granules, and goes back to the pool when they come to 0. So a gap in a page isn't
 * filled again; pages with many of them are emptied instead (see pack_clean()): their
 * objects move to the end of the log.
 *
 * An object becomes a slot's, moves and is freed by a change of the slot's word under
 * the slot's lock; who reads has that lock. So what is read is neither moved nor freed
 * meanwhile. The appender learns under the lock whether the slot is as it was when the data was
 * copied, else the object is forgotten: its place is filled again.
 *
 * New pages come from the slots: the page that the data was in, uncompressed, is the next one to
 * be filled. So packing works when the pool is empty.
 *
 * The state of a page is one word:
 *
 *	bits 0-15	live granules; and STATE_OPEN while it is filled, STATE_PIN while it is
 *			emptied
 *	bits 16-26	where the first object begins in it, in granules
 *	bits 27-63	the page that its last object goes on in, plus 1; or 0
 */

#include <linux/bitmap.h>
#include <linux/bitops.h>
#include <linux/errno.h>
#include <linux/minmax.h>
#include <linux/string.h>
#include <linux/xxhash.h>

#include "pack.h"

#define STATE_LIVE_MASK		0xffffL
#define STATE_OPEN		0x4000L
#define STATE_PIN		0x8000L
#define STATE_FIRST_SHIFT	16
#define STATE_FIRST_MASK	0x7ffUL
#define STATE_NEXT_SHIFT	27

/* Emptying pages begins when one part in START of all is wasted, and ends at one in GOAL. */
#define WASTE_START		20
#define WASTE_GOAL		32

/* Pages with few live granules are emptied first: that is the cheapest. */
#define CLEAN_FIRST		(PACK_GRANULES / 4)
#define CLEAN_STEP		(PACK_GRANULES / 8)
#define CLEAN_LAST		(PACK_GRANULES - PACK_GRANULES / 32)

static u32 checksum(const void *object, unsigned int bytes)
{
	const unsigned int skip = offsetof(struct pack_header, slot);

	return xxh64(object + skip, bytes - skip, 0);
}

/**
 * pack_seal() - make compressed data an object
 * @object: room for a header, and then the data; PACK_OBJECT_MAX bytes
 * @slot: whose it is
 * @bytes: of data
 *
 * Context: any.
 * Return: bytes of the object.
 */
unsigned int pack_seal(void *object, unsigned long slot, unsigned int bytes)
{
	struct pack_header *h = object;
	unsigned int all = sizeof(*h) + bytes;

	h->slot = slot;
	h->bytes = bytes;
	h->sum = checksum(object, all);
	memset(object + all, 0, PACK_GRANULE);
	return all;
}

/**
 * pack_intact() - is it the object that was sealed?
 * @object: the object
 * @slot: whose it has to be
 * @bytes: how long it has to be
 *
 * Context: any.
 * Return: false when it is damaged.
 */
bool pack_intact(const void *object, unsigned long slot, unsigned int bytes)
{
	const struct pack_header *h = object;

	return h->slot == (u32)slot && h->bytes + sizeof(*h) == bytes &&
	       h->sum == checksum(object, bytes);
}

/* Granules of an object that are in its first page. */
static unsigned int first_part(const struct pack_where *w)
{
	return min_t(unsigned int, w->len, PACK_GRANULES - w->at);
}

static unsigned long next_of(const struct pack *pack, unsigned long page)
{
	unsigned long state = atomic_long_read(&pack_page(pack, page)->state);

	return (state >> STATE_NEXT_SHIFT) - 1;
}

/**
 * pack_next() - the page that an object goes on in
 * @pack: the packed pages
 * @word: word of its slot, which is locked
 *
 * Context: any.
 * Return: the page, or PACK_NONE.
 */
unsigned long pack_next(const struct pack *pack, unsigned long word)
{
	const struct pack_where w = pack_where(word);

	return first_part(&w) < w.len ? next_of(pack, w.page) : PACK_NONE;
}

/* Less of a page is in use; with nothing left it goes back to the pool. */
static void release(struct pack *pack, unsigned long page, long granules)
{
	struct pack_page *p = pack_page(pack, page);

	/* Fully ordered: whoever had to do with the page is done with it. */
	if (atomic_long_sub_return(granules, &p->state) & STATE_LIVE_MASK)
		return;
	spin_lock(&pack->lock);
	clear_bit(page, pack->map);
	WRITE_ONCE(p->head, 0);
	atomic_long_set(&p->state, 0);
	spin_unlock(&pack->lock);
	atomic_long_dec(&pack->nr_pages);
	pack->put(pack, page);
}

/* Keep a packed page what it is; false when it isn't one, or is about to go. */
static bool hold(struct pack *pack, unsigned long page, long as)
{
	struct pack_page *p = pack_page(pack, page);
	long state, new;
	bool held = false;

	spin_lock(&pack->lock);
	if (!test_bit(page, pack->map))
		goto out;
	state = atomic_long_read(&p->state);
	do {
		held = state & STATE_LIVE_MASK;
		new = state + as;
	} while (held && !atomic_long_try_cmpxchg(&p->state, &state, new));
out:
	spin_unlock(&pack->lock);
	return held;
}

/* A page of the pool becomes a packed one, with the end of an object, and open. */
static void set_up(struct pack *pack, unsigned long page, unsigned long head,
		   unsigned int head_len, unsigned int live)
{
	struct pack_page *p = pack_page(pack, page);

	spin_lock(&pack->lock);
	WRITE_ONCE(p->head, head);
	atomic_long_set(&p->state, (live + STATE_OPEN) |
				   (long)head_len << STATE_FIRST_SHIFT);
	set_bit(page, pack->map);
	spin_unlock(&pack->lock);
	atomic_long_inc(&pack->nr_pages);
}

static void close_tail(struct pack *pack)
{
	unsigned long tail = pack->tail;

	pack->tail = PACK_NONE;
	release(pack, tail, STATE_OPEN);
}

/**
 * pack_begin() - begin to append
 * @pack: the packed pages
 *
 * Context: any but interrupts. One at a time, to pack_end().
 */
void pack_begin(struct pack *pack)
{
	/* All that was in it may have been freed. */
	if (pack->tail != PACK_NONE && !hold(pack, pack->tail, STATE_OPEN))
		pack->tail = PACK_NONE;
}

/**
 * pack_end() - appending ends
 * @pack: the packed pages
 *
 * No page is kept that has nothing in it.
 *
 * Context: any but interrupts.
 */
void pack_end(struct pack *pack)
{
	if (pack->tail != PACK_NONE)
		release(pack, pack->tail, STATE_OPEN);
	if (pack->spare != PACK_NONE)
		pack->put(pack, pack->spare);
	pack->spare = PACK_NONE;
}

static unsigned int room(const struct pack *pack)
{
	return pack->tail == PACK_NONE ? 0 : PACK_GRANULES - pack->at;
}

static void write_part(struct pack *pack, unsigned long page, unsigned int at,
		       const void *from, unsigned int len)
{
	/* As pmem_tier_copy_in(): it is cold. */
	memcpy_flushcache(pack->addr + (page << PAGE_SHIFT) + at * PACK_GRANULE,
			  from, len * PACK_GRANULE);
}

/**
 * pack_append() - an object becomes a slot's data
 * @pack: the packed pages, between pack_begin() and pack_end()
 * @slot: the slot
 * @expected: the word that it has to have still
 * @object: the object
 * @bytes: how long it is
 * @page: page of the pool to go on with, the caller's; it may be the slot's own, raw one
 * @page_used: set to true when it was taken, and is a packed page now
 *
 * Context: any but interrupts.
 * Return: true when the slot has it; false when the slot isn't what was expected, or there is no
 * page.
 */
bool pack_append(struct pack *pack, unsigned long slot, unsigned long expected,
		 const void *object, unsigned int bytes, unsigned long page,
		 bool *page_used)
{
	struct pack_where w = { .bytes = bytes };
	struct slot *s = &pack->slots[slot];
	unsigned int first, rest;

	*page_used = false;
	/* A page that went bad isn't written to any more. */
	if (pack->tail != PACK_NONE &&
	    (!room(pack) || !pack->good(pack, pack->tail)))
		close_tail(pack);
	w.len = (bytes + PACK_GRANULE - 1) / PACK_GRANULE;
	first = min(w.len, room(pack));
	rest = w.len - first;
	/* The tail may have gone bad since the caller looked. */
	if (rest && page == PACK_NONE)
		return false;
	w.page = first ? pack->tail : page;
	w.at = first ? pack->at : 0;
	/* Nobody else knows of this part of the tail. */
	if (first)
		write_part(pack, pack->tail, pack->at, object, first);

	slot_lock(s);
	if (slot_get(s) != expected) {
		slot_unlock(s);
		return false;
	}
	if (rest) {
		write_part(pack, page, 0, object + first * PACK_GRANULE, rest);
		set_up(pack, page, first ? slot : PACK_NONE, first ? rest : 0,
		       rest);
	}
	if (first)
		atomic_long_add(first + (rest ? (page + 1) << STATE_NEXT_SHIFT : 0),
				&pack_page(pack, pack->tail)->state);
	atomic_long_add(w.len, &pack->live);
	/* Non-temporal stores before the word, as in store_raw(). */
	wmb();
	slot_set(s, pack_word(&w));
	slot_unlock(s);

	pack->at += first;
	if (rest) {
		if (first)
			close_tail(pack);
		pack->tail = page;
		pack->at = rest;
		*page_used = true;
	}
	return true;
}

/**
 * pack_free() - an object is nobody's any more
 * @pack: the packed pages
 * @word: the word that its slot had
 *
 * Context: any but interrupts.
 */
void pack_free(struct pack *pack, unsigned long word)
{
	const struct pack_where w = pack_where(word);
	unsigned int first = first_part(&w);
	unsigned long next = pack_next(pack, word);

	atomic_long_sub(w.len, &pack->live);
	release(pack, w.page, first);
	if (next != PACK_NONE)
		release(pack, next, w.len - first);
}

/**
 * pack_read() - copy an object
 * @pack: the packed pages
 * @word: word of its slot, which is locked
 * @object: where it goes; PACK_OBJECT_MAX bytes
 *
 * Context: any.
 * Return: 0, or -EIO when the media failed.
 */
int pack_read(const struct pack *pack, unsigned long word, void *object)
{
	const struct pack_where w = pack_where(word);
	unsigned int first = first_part(&w) * PACK_GRANULE;
	unsigned int all = w.len * PACK_GRANULE;
	int err;

	/* What isn't written by this program can be anything. */
	if (unlikely(all > PACK_OBJECT_MAX))
		return -EIO;
	err = pack->read(pack, w.page, w.at * PACK_GRANULE, object, first);
	if (!err && first < all)
		err = pack->read(pack, next_of(pack, w.page), 0, object + first,
				 all - first);
	return err;
}

/**
 * pack_waste() - granules of packed pages that nobody uses
 * @pack: the packed pages
 *
 * Without what is still to be filled.
 *
 * Context: any.
 * Return: the number; exact while nothing is appended or freed.
 */
unsigned long pack_waste(const struct pack *pack)
{
	long waste = atomic_long_read(&pack->nr_pages) * PACK_GRANULES -
		     atomic_long_read(&pack->live) - room(pack);

	return max(waste, 0L);
}

static bool wasted(const struct pack *pack, unsigned int part)
{
	unsigned long pages = atomic_long_read(&pack->nr_pages);

	return pack_waste(pack) > pages * PACK_GRANULES / part;
}

/* An object goes to the end of the log; 0, or -ENOSPC. One that can't be read stays. */
static int move(struct pack *pack, unsigned long slot, unsigned long word,
		unsigned int *moved)
{
	struct slot *s = &pack->slots[slot];
	const struct pack_where w = pack_where(word);
	bool same, used;
	int err = 0;

	if (room(pack) < w.len && pack->spare == PACK_NONE) {
		long page = pack->get(pack);

		if (page < 0)
			return -ENOSPC;
		pack->spare = page;
	}
	slot_lock(s);
	same = slot_get(s) == word;
	if (same)
		err = pack_read(pack, word, pack->buffer);
	slot_unlock(s);
	/* Nobody but the appender could give the slot the same word again. */
	if (!same || err ||
	    !pack_append(pack, slot, word, pack->buffer, w.bytes, pack->spare,
			 &used))
		return 0;
	if (used)
		pack->spare = PACK_NONE;
	pack_free(pack, word);
	(*moved)++;
	return 0;
}

/* The word of a slot, if it is a packed one; else 0, which isn't one. */
static unsigned long packed_word(const struct pack *pack, unsigned long slot)
{
	unsigned long word;

	if (slot >= pack->nr_slots)
		return 0;
	word = slot_get(&pack->slots[slot]);
	return slot_kind(word) == SLOT_PACKED ? word : 0;
}

/* The object that ends in a page, but began in another, moves. */
static int move_head(struct pack *pack, unsigned long page, unsigned int *moved)
{
	unsigned long slot = READ_ONCE(pack_page(pack, page)->head);
	unsigned long word = packed_word(pack, slot);

	/* The slot may have another one by now. */
	if (!word || pack_next(pack, word) != page)
		return 0;
	return move(pack, slot, word, moved);
}

/*
 * Which slot was the object at this place for, and how long is it? What only its header in
 * this page tells could be damaged. False when nothing is known.
 */
static bool look_at(const struct pack *pack, unsigned long page, unsigned int at,
		    unsigned long *slot, unsigned int *len)
{
	struct pack_header h;
	unsigned int left = (PACK_GRANULES - at) * PACK_GRANULE;

	*len = PACK_GRANULES;
	if (left < sizeof(h)) {
		unsigned long next = next_of(pack, page);

		if (next >= pack->nr_pool)
			return false;
		*slot = READ_ONCE(pack_page(pack, next)->head);
		return true;
	}
	if (pack->read(pack, page, at * PACK_GRANULE, &h, sizeof(h)) ||
	    h.bytes > PACK_DATA_MAX)
		return false;
	*slot = h.slot;
	*len = (sizeof(h) + h.bytes + PACK_GRANULE - 1) / PACK_GRANULE;
	return true;
}

/* All objects of a page move; returns 0 or -ENOSPC. */
static int empty_page(struct pack *pack, unsigned long page, unsigned int *moved)
{
	unsigned long state, slot, word;
	unsigned int at, len;
	int err;

	if (!hold(pack, page, STATE_PIN))
		return 0;
	err = move_head(pack, page, moved);
	state = atomic_long_read(&pack_page(pack, page)->state);
	at = state >> STATE_FIRST_SHIFT & STATE_FIRST_MASK;
	while (!err && at < PACK_GRANULES &&
	       look_at(pack, page, at, &slot, &len)) {
		word = packed_word(pack, slot);
		if (word) {
			struct pack_where w = pack_where(word);

			if (w.page == page && w.at == at)
				err = move(pack, slot, word, moved);
		}
		at += len;
	}
	release(pack, page, STATE_PIN);
	return err;
}

/**
 * pack_clean() - win back what freed objects have left, a step of it
 * @pack: the packed pages, between pack_begin() and pack_end()
 * @moved: counts objects that have moved
 *
 * Context: any but interrupts.
 * Return: 1 when there is more to do; 0 when there isn't; -ENOSPC when there is no page to
 * go on with.
 */
int pack_clean(struct pack *pack, unsigned int *moved)
{
	struct pack_page *p;
	unsigned long page;
	long live;

	if (!wasted(pack, pack->clean_below ? WASTE_GOAL : WASTE_START))
		goto done;
	if (!pack->clean_below)
		pack->clean_below = CLEAN_FIRST;
	page = find_next_bit(pack->map, pack->nr_pool, pack->clean_at);
	if (page >= pack->nr_pool) {
		pack->clean_at = 0;
		if (pack->clean_below >= CLEAN_LAST)
			goto done;
		pack->clean_below += CLEAN_STEP;
		return 1;
	}
	pack->clean_at = page + 1;
	p = pack_page(pack, page);
	live = atomic_long_read(&p->state) & STATE_LIVE_MASK;
	if (page == pack->tail || live >= pack->clean_below)
		return 1;
	return empty_page(pack, page, moved) ?: 1;
done:
	pack->clean_below = 0;
	return 0;
}
