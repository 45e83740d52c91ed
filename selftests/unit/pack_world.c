// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the tests of packing share, see pack_world.h.
 */

#include <linux/errno.h>
#include <linux/types.h>

#include <stdlib.h>
#include <string.h>

#include "pack_world.h"
#include "unit.h"

long take(struct pack *pack)
{
	struct world *w = (struct world *)pack;
	long page = -1;
	unsigned long i;

	spin_lock(&w->lock);
	for (i = 0; w->nr_taken < w->limit && i < POOL && page < 0; i++)
		if (!w->taken[i])
			page = i;
	if (page >= 0) {
		w->taken[page] = true;
		w->nr_taken++;
	}
	spin_unlock(&w->lock);
	/* What is in it uncompressed */
	if (page >= 0)
		memset(pack->addr + page * PAGE_SIZE, 0xee, PAGE_SIZE);
	return page;
}

void put(struct pack *pack, unsigned long page)
{
	struct world *w = (struct world *)pack;

	spin_lock(&w->lock);
	expect(w->taken[page]);
	w->taken[page] = false;
	w->nr_taken--;
	spin_unlock(&w->lock);
}

static int read_some(const struct pack *pack, unsigned long page, unsigned int offset, void *to,
		     unsigned int bytes)
{
	expect(page < pack->nr_pool && offset + bytes <= PAGE_SIZE);
	if (page == ((const struct world *)pack)->unreadable)
		return -EIO;
	memcpy(to, pack->addr + page * PAGE_SIZE + offset, bytes);
	return 0;
}

static bool is_good(const struct pack *pack, unsigned long page)
{
	return page != ((const struct world *)pack)->bad;
}

struct world *new_world(void)
{
	struct world *w = calloc(1, sizeof(*w));
	struct pack *p = &w->pack;

	w->pages = calloc(POOL, sizeof(*w->pages));
	w->taken = calloc(POOL, sizeof(*w->taken));
	w->version = calloc(SLOTS, sizeof(*w->version));
	w->bytes = calloc(SLOTS, sizeof(*w->bytes));
	w->limit = POOL;
	w->bad = PACK_NONE;
	w->unreadable = PACK_NONE;
	w->seed = unit_seed(1);
	p->addr = aligned_alloc(PAGE_SIZE, POOL * PAGE_SIZE);
	p->pages = w->pages;
	p->stride = sizeof(*w->pages);
	p->nr_pool = POOL;
	p->map = calloc(BITS_TO_LONGS(POOL), sizeof(long));
	p->slots = calloc(SLOTS, sizeof(*p->slots));
	p->nr_slots = SLOTS;
	p->tail = PACK_NONE;
	p->buffer = w->buffer;
	p->read = read_some;
	p->good = is_good;
	p->get = take;
	p->put = put;
	return w;
}

void end_world(struct world *w)
{
	free(w->pages);
	free(w->taken);
	free(w->version);
	free(w->bytes);
	free(w->pack.addr);
	free(w->pack.map);
	free(w->pack.slots);
	free(w);
}

static unsigned char data_byte(unsigned long slot, u32 version, unsigned int i)
{
	return slot * 37 + version * 101 + i * 7 + (i >> 8);
}

unsigned int compose(unsigned char *object, unsigned long slot, u32 version, unsigned int bytes)
{
	unsigned int i;

	for (i = 0; i < bytes; i++)
		object[sizeof(struct pack_header) + i] = data_byte(slot, version, i);
	return pack_seal(object, slot, bytes);
}

unsigned int some_bytes(u64 *seed)
{
	unsigned int max = unit_random(seed) % 4 ? 2400 : PACK_DATA_MAX - 20;

	return 20 + unit_random(seed) % max;
}

bool append(struct world *w, unsigned long slot, unsigned long expected, u32 version,
	    unsigned int bytes, long page)
{
	unsigned char object[PACK_OBJECT_MAX];
	unsigned int all = compose(object, slot, version, bytes);
	bool used, done;

	done = pack_append(&w->pack, slot, expected, object, all, page, &used);
	if (done && !used)
		put(&w->pack, page);
	return done;
}

void fill_slot(struct world *w, unsigned long slot)
{
	struct slot *s = &w->pack.slots[slot];
	long page = take(&w->pack);

	expect(page >= 0);
	w->version[slot]++;
	w->bytes[slot] = some_bytes(&w->seed);
	slot_exchange(s, slot_raw(page, 5) | SLOT_CLAIMED);
	expect(append(w, slot, slot_raw(page, 5) | SLOT_CLAIMED, w->version[slot], w->bytes[slot],
		      page));
}

void empty_slot(struct world *w, unsigned long slot)
{
	unsigned long old = slot_exchange(&w->pack.slots[slot], 0);

	if (slot_kind(old) == SLOT_PACKED)
		pack_free(&w->pack, old);
	w->bytes[slot] = 0;
}

bool check_slot(struct world *w, unsigned long slot)
{
	struct slot *s = &w->pack.slots[slot];
	unsigned char object[PACK_OBJECT_MAX];
	unsigned int i, wrong = 0;
	unsigned long word;

	slot_lock(s);
	word = slot_get(s);
	if (slot_kind(word) == SLOT_PACKED)
		expect(!pack_read(&w->pack, word, object));
	slot_unlock(s);
	if (slot_kind(word) != SLOT_PACKED)
		return false;
	expect(pack_intact(object, slot, pack_where(word).bytes));
	expect_eq(pack_data_bytes(word), w->bytes[slot]);
	for (i = 0; i < w->bytes[slot]; i++)
		wrong += object[sizeof(struct pack_header) + i] !=
			 data_byte(slot, w->version[slot], i);
	expect_eq(wrong, 0);
	return true;
}

unsigned long check_all(struct world *w)
{
	unsigned long slot, sum = 0;

	for (slot = 0; slot < SLOTS && !unit_failed(); slot++) {
		expect_eq(check_slot(w, slot), !!w->bytes[slot]);
		sum += w->bytes[slot];
	}
	return sum;
}

unsigned long stored(const struct world *w)
{
	return pack_nr_pages(&w->pack) * PAGE_SIZE;
}

unsigned long wanted(const struct world *w)
{
	unsigned long slot, sum = 0;

	for (slot = 0; slot < SLOTS; slot++)
		sum += w->bytes[slot];
	return sum;
}

void clean_up(struct world *w)
{
	unsigned int moved = 0;

	pack_begin(&w->pack);
	while (pack_clean(&w->pack, &moved))
		;
	pack_end(&w->pack);
	expect(pack_waste(&w->pack) * 20 <=
	       (atomic_long_read(&w->pack.nr_pages) + 1) * PACK_GRANULES);
}

void all_back(struct world *w)
{
	unsigned long slot;

	for (slot = 0; slot < SLOTS; slot++)
		empty_slot(w, slot);
	expect_eq(w->nr_taken, 0);
	expect_eq(pack_nr_pages(&w->pack), 0);
	expect_eq(atomic_long_read(&w->pack.live), 0);
	expect_eq(find_next_bit(w->pack.map, POOL, 0), POOL);
}
