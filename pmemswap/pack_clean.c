// SPDX-License-Identifier: GPL-2.0-only
/*
 * Packing: winning back what freed objects have left in packed pages.
 */

/**
 * DOC: cleaning
 *
 * All objects of a page, also those that only begin or end in it, move to the end of the
 * log. Then the page is free.
 *
 * What that takes in pages is known beforehand: the objects are measured first. If it is more
 * than there is room for at the end of the log, in the spare page and in the pool, this
 * page is left alone. Without the pool, a page that is emptied makes up for the one that it
 * took; so with one page to spare cleaning goes on when the pool is dry, which is when it
 * matters most.
 */

#include <linux/bitmap.h>
#include <linux/bitops.h>
#include <linux/errno.h>
#include <linux/minmax.h>

#include "pack.h"
#include "pack_page.h"

/* Emptying pages begins when one part in START of all is wasted, and ends at one in GOAL. */
#define WASTE_START		20
#define WASTE_GOAL		32

/* After a round that didn't get there, the next begins when so much more is wasted. */
#define WASTE_MORE		64

/* Pages with few live granules are emptied first: that is the cheapest. */
#define CLEAN_FIRST		(PACK_GRANULES / 4)
#define CLEAN_STEP		(PACK_GRANULES / 8)
#define CLEAN_LAST		(PACK_GRANULES - PACK_GRANULES / 32)

static unsigned long part_of_all(const struct pack *pack, unsigned int part)
{
	return atomic_long_read(&pack->nr_pages) * PACK_GRANULES / part;
}

/* Pages that were good may have gone bad. */
static void drop_bad_spares(struct pack *pack)
{
	unsigned int i = 0;

	while (i < pack->nr_spare) {
		unsigned long page = pack->spare[i];

		if (pack->good(pack, page)) {
			i++;
			continue;
		}
		WRITE_ONCE(pack->nr_spare, pack->nr_spare - 1);
		pack->spare[i] = pack->spare[pack->nr_spare];
		pack->put(pack, page);
	}
}

/* Is there room for so many granules? Takes pages from the pool if need be. */
static bool reserve(struct pack *pack, unsigned int granules)
{
	unsigned int room = pack_room(pack);

	drop_bad_spares(pack);
	if (room && !pack->good(pack, pack->tail))
		room = 0;
	while (room + pack->nr_spare * PACK_GRANULES < granules) {
		long page;

		if (pack->nr_spare == PACK_SPARES)
			return false;
		page = pack->get(pack);
		if (page < 0)
			return false;
		if (!pack_spare_add(pack, page)) {
			pack->put(pack, page);
			return false;
		}
	}
	return true;
}

/* An object goes to the end of the log, if there is room. One that can't be read stays. */
static void move(struct pack *pack, unsigned long slot, unsigned long word,
		 unsigned int *moved)
{
	struct slot *s = &pack->slots[slot];
	const struct pack_where w = pack_where(word);
	unsigned long page = PACK_NONE;
	bool same, used;
	int err = 0;

	if (pack->nr_spare)
		page = pack->spare[pack->nr_spare - 1];
	slot_lock(s);
	same = slot_get(s) == word;
	if (same)
		err = pack_read(pack, word, pack->buffer);
	slot_unlock(s);
	/* Nobody but the appender could give the slot the same word again. */
	if (!same || err ||
	    !pack_append(pack, slot, word, pack->buffer, w.bytes, page, &used))
		return;
	if (used)
		WRITE_ONCE(pack->nr_spare, pack->nr_spare - 1);
	pack_free(pack, word);
	(*moved)++;
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
		unsigned long next = pack_page_next(pack, page);

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

/*
 * Granules of the objects that are in a page, in whole or in part. With @moved, which counts them,
 * they move.
 */
static unsigned int each_object(struct pack *pack, unsigned long page,
				unsigned int *moved)
{
	unsigned long slot = READ_ONCE(pack_page(pack, page)->head);
	unsigned long state, word = packed_word(pack, slot);
	unsigned int at, len, sum = 0;

	/* The slot of the one that began before may have another one by now. */
	if (word && pack_next(pack, word) == page) {
		sum += pack_where(word).len;
		if (moved)
			move(pack, slot, word, moved);
	}
	state = atomic_long_read(&pack_page(pack, page)->state);
	at = state >> STATE_FIRST_SHIFT & STATE_FIRST_MASK;
	for (; at < PACK_GRANULES && look_at(pack, page, at, &slot, &len);
	     at += len) {
		struct pack_where w;

		word = packed_word(pack, slot);
		w = pack_where(word);
		if (!word || w.page != page || w.at != at)
			continue;
		sum += w.len;
		if (moved)
			move(pack, slot, word, moved);
	}
	return sum;
}

/* All objects of a page move, if there is room for all of them. */
static void empty_page(struct pack *pack, unsigned long page,
		       unsigned int *moved)
{
	if (!pack_page_hold(pack, page, STATE_PIN))
		return;
	if (reserve(pack, each_object(pack, page, NULL)))
		each_object(pack, page, moved);
	/* It makes up for the one that it took. */
	if (pack_page_drop(pack, page, STATE_PIN) &&
	    !pack_spare_add(pack, page))
		pack->put(pack, page);
}

/**
 * pack_clean() - win back what freed objects have left, a step of it
 * @pack: the packed pages, between pack_begin() and pack_end()
 * @moved: counts objects that have moved
 *
 * Context: any but interrupts.
 * Return: true when there is more to do.
 */
bool pack_clean(struct pack *pack, unsigned int *moved)
{
	unsigned long waste = pack_waste(pack), page;
	struct pack_page *p;
	long live;

	if (waste <= part_of_all(pack, pack->clean_below ? WASTE_GOAL :
							   WASTE_START)) {
		pack->stuck = 0;
		goto done;
	}
	if (!pack->clean_below) {
		pack->stuck = min(pack->stuck, waste);
		if (pack->stuck &&
		    waste <= pack->stuck + part_of_all(pack, WASTE_MORE))
			return false;
		pack->clean_below = CLEAN_FIRST;
	}
	/* Others set and clear bits: pack_page_hold() looks again. */
	page = data_race(find_next_bit(pack->map, pack->nr_pool,
				       pack->clean_at));
	if (page >= pack->nr_pool) {
		pack->clean_at = 0;
		if (pack->clean_below >= CLEAN_LAST) {
			pack->stuck = waste;
			goto done;
		}
		pack->clean_below += CLEAN_STEP;
		return true;
	}
	pack->clean_at = page + 1;
	p = pack_page(pack, page);
	live = atomic_long_read(&p->state) & STATE_LIVE_MASK;
	if (page != pack->tail && live < pack->clean_below)
		empty_page(pack, page, moved);
	return true;
done:
	pack->clean_below = 0;
	return false;
}
