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
 * filled again; pages with many of them are emptied instead (pack_clean.c): their
 * objects move to the end of the log.
 *
 * An object becomes a slot's, moves and is freed by a change of the slot's word under
 * the slot's lock; who reads has that lock. So what is read is neither moved nor freed
 * meanwhile. The appender learns under the lock whether the slot is as it was when the data was
 * copied, else the object is forgotten: its place is filled again.
 *
 * New pages come from the slots: the page that the data was in, uncompressed, is the next one to
 * be filled. So packing works when the pool is empty. The first that isn't needed for that is
 * kept: with one page to spare, cleaning works as well.
 *
 * Where pages have to be wiped as they are freed, so has all that is freed of a page that stays:
 * the rest of the data that was in it uncompressed, and objects, but for what their headers say of
 * slot and length, which cleaning goes by.
 */

#include <linux/bitmap.h>
#include <linux/bitops.h>
#include <linux/errno.h>
#include <linux/minmax.h>
#include <linux/string.h>
#include <linux/xxhash.h>

#include "pack.h"
#include "pack_page.h"

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

	return first_part(&w) < w.len ? pack_page_next(pack, w.page) : PACK_NONE;
}

/* The appender's, or under the lock. */
static unsigned long take_spare(struct pack *pack)
{
	if (!pack->nr_spare)
		return PACK_NONE;
	WRITE_ONCE(pack->nr_spare, pack->nr_spare - 1);
	return pack->spare[pack->nr_spare];
}

/**
 * pack_page_drop() - less of a page is in use
 * @pack: the packed pages
 * @page: the page
 * @granules: how much less; or STATE_OPEN, STATE_PIN
 *
 * Context: any but interrupts.
 * Return: true when nothing is left: it is the caller's now, and no packed page any more.
 */
bool pack_page_drop(struct pack *pack, unsigned long page, long granules)
{
	struct pack_page *p = pack_page(pack, page);
	unsigned long spare = PACK_NONE;

	/* Fully ordered: whoever had to do with the page is done with it. */
	if (atomic_long_sub_return(granules, &p->state) & STATE_LIVE_MASK)
		return false;
	raw_spin_lock(&pack->lock);
	clear_bit(page, pack->map);
	WRITE_ONCE(p->head, 0);
	atomic_long_set(&p->state, 0);
	/* With the last page goes the spare one, if nobody else sees to it. */
	if (atomic_long_dec_and_test(&pack->nr_pages) && !pack->open)
		spare = take_spare(pack);
	raw_spin_unlock(&pack->lock);
	if (spare != PACK_NONE)
		pack->put(pack, spare);
	return true;
}

/* The same; with nothing left the page goes back to the pool. */
static void release(struct pack *pack, unsigned long page, long granules)
{
	if (pack_page_drop(pack, page, granules))
		pack->put(pack, page);
}

/**
 * pack_page_hold() - keep a packed page what it is
 * @pack: the packed pages
 * @page: the page
 * @as: STATE_OPEN or STATE_PIN
 *
 * Context: any but interrupts.
 * Return: false when it isn't one, or is about to go.
 */
bool pack_page_hold(struct pack *pack, unsigned long page, long as)
{
	struct pack_page *p = pack_page(pack, page);
	long state, new;
	bool held = false;

	raw_spin_lock(&pack->lock);
	if (!test_bit(page, pack->map))
		goto out;
	state = atomic_long_read(&p->state);
	do {
		held = state & STATE_LIVE_MASK;
		new = state + as;
	} while (held && !atomic_long_try_cmpxchg(&p->state, &state, new));
out:
	raw_spin_unlock(&pack->lock);
	return held;
}

/* A page of the pool becomes a packed one, with the end of an object, and open. */
static void set_up(struct pack *pack, unsigned long page, unsigned long head,
		   unsigned int head_len, unsigned int live)
{
	struct pack_page *p = pack_page(pack, page);

	raw_spin_lock(&pack->lock);
	WRITE_ONCE(p->head, head);
	atomic_long_set(&p->state, (live + STATE_OPEN) |
				   (long)head_len << STATE_FIRST_SHIFT);
	set_bit(page, pack->map);
	atomic_long_inc(&pack->nr_pages);
	raw_spin_unlock(&pack->lock);
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
	raw_spin_lock(&pack->lock);
	pack->open = true;
	raw_spin_unlock(&pack->lock);
	/* All that was in it may have been freed. */
	if (pack->tail != PACK_NONE &&
	    !pack_page_hold(pack, pack->tail, STATE_OPEN))
		pack->tail = PACK_NONE;
}

/**
 * pack_end() - appending ends
 * @pack: the packed pages
 *
 * No page is kept that has nothing in it, but one to go on with.
 *
 * Context: any but interrupts.
 */
void pack_end(struct pack *pack)
{
	unsigned long spare = PACK_NONE;

	if (pack->tail != PACK_NONE)
		release(pack, pack->tail, STATE_OPEN);
	while (pack->nr_spare > 1)
		pack->put(pack, take_spare(pack));
	raw_spin_lock(&pack->lock);
	pack->open = false;
	if (!atomic_long_read(&pack->nr_pages))
		spare = take_spare(pack);
	raw_spin_unlock(&pack->lock);
	if (spare != PACK_NONE)
		pack->put(pack, spare);
}

static void write_part(struct pack *pack, unsigned long page, unsigned int at,
		       const void *from, unsigned int len)
{
	/* As pmem_tier_copy_in(): it is cold. */
	memcpy_flushcache(pack->addr + (page << PAGE_SHIFT) + at * PACK_GRANULE,
			  from, len * PACK_GRANULE);
}

/**
 * pack_wipe() - what was in a part of a page is nobody's any more
 * @pack: the packed pages
 * @page: the page
 * @at: first granule of it
 * @len: how many
 *
 * Context: any.
 */
void pack_wipe(struct pack *pack, unsigned long page, unsigned int at,
	       unsigned int len)
{
	static const u8 zeros[PAGE_SIZE];

	if (pack->wipe && pack->good(pack, page))
		write_part(pack, page, at, zeros, len);
}

/*
 * An object, but for what its header says of slot and length. Whose it was has another word by
 * now: nobody reads it.
 */
static void wipe_object(struct pack *pack, const struct pack_where *w,
			unsigned long next)
{
	const unsigned int head = DIV_ROUND_UP(sizeof(struct pack_header),
					       PACK_GRANULE);
	unsigned int first = first_part(w);

	/* The checksum, a granule, tells of the data. */
	pack_wipe(pack, w->page, w->at,
		  offsetof(struct pack_header, slot) / PACK_GRANULE);
	if (first > head)
		pack_wipe(pack, w->page, w->at + head, first - head);
	if (next != PACK_NONE) {
		unsigned int skip = head - min(first, head);

		pack_wipe(pack, next, skip, w->len - first - skip);
	}
}

/**
 * pack_append() - an object becomes a slot's data
 * @pack: the packed pages, between pack_begin() and pack_end()
 * @slot: the slot
 * @expected: the word that it has to have still
 * @object: the object
 * @bytes: how long it is
 * @page: page of the pool to go on with, the caller's, or PACK_NONE; it may be the slot's
 *	own, raw one
 * @page_used: set to true when it was taken: it is a packed page now, or the spare one
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
	    (!pack_room(pack) || !pack->good(pack, pack->tail)))
		close_tail(pack);
	w.len = (bytes + PACK_GRANULE - 1) / PACK_GRANULE;
	first = min(w.len, pack_room(pack));
	rest = w.len - first;
	/* The tail, and the page, may have gone bad since the caller looked. */
	if (rest && (page == PACK_NONE || !pack->good(pack, page)))
		return false;
	w.page = first ? pack->tail : page;
	w.at = first ? pack->at : 0;
	/* Nobody else knows of this part of the tail. */
	if (first)
		write_part(pack, pack->tail, pack->at, object, first);

	slot_lock(s);
	/* It may have been a while. */
	if (slot_get(s) != expected || (rest && !pack->good(pack, page))) {
		slot_unlock(s);
		if (first)
			pack_wipe(pack, pack->tail, pack->at, first);
		return false;
	}
	if (rest) {
		write_part(pack, page, 0, object + first * PACK_GRANULE, rest);
		pack_wipe(pack, page, rest, PACK_GRANULES - rest);
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
	} else if (page != PACK_NONE && !pack->nr_spare) {
		*page_used = pack_spare_add(pack, page);
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
	if (pack->wipe) {
		wipe_object(pack, &w, next);
		/* Non-temporal stores before the page may be another's. */
		wmb();
	}
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
		err = pack->read(pack, pack_page_next(pack, w.page), 0, object + first,
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
		     atomic_long_read(&pack->live) - pack_room(pack);

	return max(waste, 0L);
}
