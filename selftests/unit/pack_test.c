// SPDX-License-Identifier: GPL-2.0-only
/*
 * Packing: what goes in comes out, how dense it is, races of those who free, rewrite and read.
 */

#include <linux/array_size.h>
#include <linux/types.h>

#include <stdlib.h>
#include <string.h>

#include "pack.h"
#include "unit.h"

#define POOL	2048UL
#define SLOTS	8192UL

/* A pool, a slot table and, of each slot, which version of its data it should have. */
struct world {
	struct pack pack;
	struct pack_page *pages;
	bool *taken;
	spinlock_t lock;	/* of the pool */
	unsigned long nr_taken;
	unsigned char buffer[PACK_OBJECT_MAX];
	u32 *version;
	unsigned int *bytes;
	unsigned long limit;
	unsigned long bad;
	u64 seed;
};

static long take(struct pack *pack)
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
	return page;
}

static void put(struct pack *pack, unsigned long page)
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
	memcpy(to, pack->addr + page * PAGE_SIZE + offset, bytes);
	return 0;
}

static bool is_good(const struct pack *pack, unsigned long page)
{
	return page != ((const struct world *)pack)->bad;
}

static struct world *new_world(void)
{
	struct world *w = calloc(1, sizeof(*w));
	struct pack *p = &w->pack;

	w->pages = calloc(POOL, sizeof(*w->pages));
	w->taken = calloc(POOL, sizeof(*w->taken));
	w->version = calloc(SLOTS, sizeof(*w->version));
	w->bytes = calloc(SLOTS, sizeof(*w->bytes));
	w->limit = POOL;
	w->bad = PACK_NONE;
	w->seed = unit_seed(1);
	p->addr = aligned_alloc(PAGE_SIZE, POOL * PAGE_SIZE);
	p->pages = w->pages;
	p->stride = sizeof(*w->pages);
	p->nr_pool = POOL;
	p->map = calloc(BITS_TO_LONGS(POOL), sizeof(long));
	p->slots = calloc(SLOTS, sizeof(*p->slots));
	p->nr_slots = SLOTS;
	p->tail = PACK_NONE;
	p->spare = PACK_NONE;
	p->buffer = w->buffer;
	p->read = read_some;
	p->good = is_good;
	p->get = take;
	p->put = put;
	return w;
}

static void end_world(struct world *w)
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

static unsigned int compose(unsigned char *object, unsigned long slot, u32 version,
			    unsigned int bytes)
{
	unsigned int i;

	for (i = 0; i < bytes; i++)
		object[sizeof(struct pack_header) + i] = data_byte(slot, version, i);
	return pack_seal(object, slot, bytes);
}

/* From 20 bytes on, as many small as large ones */
static unsigned int some_bytes(u64 *seed)
{
	unsigned int max = unit_random(seed) % 4 ? 2400 : PACK_DATA_MAX - 20;

	return 20 + unit_random(seed) % max;
}

/* The appender's part; the caller has the page of the slot's raw data, which goes or stays. */
static bool append(struct world *w, unsigned long slot, unsigned long expected, u32 version,
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

static void fill_slot(struct world *w, unsigned long slot)
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

static void empty_slot(struct world *w, unsigned long slot)
{
	unsigned long old = slot_exchange(&w->pack.slots[slot], 0);

	if (slot_kind(old) == SLOT_PACKED)
		pack_free(&w->pack, old);
	w->bytes[slot] = 0;
}

/* Returns whether the slot has a packed object; it must be the right one. */
static bool check_slot(struct world *w, unsigned long slot)
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

static unsigned long check_all(struct world *w)
{
	unsigned long slot, sum = 0;

	for (slot = 0; slot < SLOTS && !unit_failed(); slot++) {
		expect_eq(check_slot(w, slot), !!w->bytes[slot]);
		sum += w->bytes[slot];
	}
	return sum;
}

static unsigned long stored(const struct world *w)
{
	return atomic_long_read(&w->pack.nr_pages) * PAGE_SIZE;
}

static void all_back(struct world *w)
{
	unsigned long slot;

	for (slot = 0; slot < SLOTS; slot++)
		empty_slot(w, slot);
	expect_eq(w->nr_taken, 0);
	expect_eq(atomic_long_read(&w->pack.nr_pages), 0);
	expect_eq(atomic_long_read(&w->pack.live), 0);
	expect_eq(find_next_bit(w->pack.map, POOL, 0), POOL);
}

static void words(const void *arg)
{
	struct pack_where in = { .page = BIT(SLOT_PAGE_BITS) - 1, .at = 1023, .len = 899 };

	(void)arg;
	for (in.bytes = in.len * 4 - 3; in.bytes <= in.len * 4; in.bytes++) {
		struct pack_where out = pack_where(pack_word(&in) | BIT(SLOT_LOCK_BIT));

		expect_eq(slot_kind(pack_word(&in)), SLOT_PACKED);
		expect(!slot_has_page(pack_word(&in)));
		expect_eq(out.page, in.page);
		expect_eq(out.at, in.at);
		expect_eq(out.len, in.len);
		expect_eq(out.bytes, in.bytes);
	}
}

static void dense(const void *arg)
{
	struct world *w = new_world();
	unsigned long slot, sum;

	(void)arg;
	pack_begin(&w->pack);
	for (slot = 0; slot < 4000; slot++)
		fill_slot(w, slot);
	pack_end(&w->pack);
	sum = check_all(w);
	expect(stored(w) <= sum + sum / 50);
	expect_eq(w->nr_taken, atomic_long_read(&w->pack.nr_pages));
	all_back(w);
	end_world(w);
}

/* The tail is gone on with, if it is there still */
static void tail(const void *arg)
{
	struct world *w = new_world();
	unsigned long slot;

	(void)arg;
	for (slot = 0; slot < 500; slot++) {
		pack_begin(&w->pack);
		fill_slot(w, slot);
		pack_end(&w->pack);
		if (slot % 50 == 49)
			all_back(w);
	}
	for (slot = 0; slot < 500; slot++) {
		pack_begin(&w->pack);
		fill_slot(w, slot);
		pack_end(&w->pack);
	}
	expect(stored(w) < check_all(w) * 51 / 50 + PAGE_SIZE);
	all_back(w);
	end_world(w);
}

static void clean_up(struct world *w)
{
	unsigned int moved = 0;

	pack_begin(&w->pack);
	while (pack_clean(&w->pack, &moved) > 0)
		;
	pack_end(&w->pack);
	expect(pack_waste(&w->pack) * 20 <=
	       (atomic_long_read(&w->pack.nr_pages) + 1) * PACK_GRANULES);
}

static void churn(const void *arg)
{
	struct world *w = new_world();
	unsigned long slot, sum;
	unsigned int i;

	(void)arg;
	for (i = 0; i < 40000 && !unit_failed(); i++) {
		slot = unit_random(&w->seed) % 4000;
		if (w->bytes[slot])
			empty_slot(w, slot);
		if (unit_random(&w->seed) % 5) {
			pack_begin(&w->pack);
			fill_slot(w, slot);
			pack_end(&w->pack);
		}
		if (i % 500 == 499) {
			clean_up(w);
			sum = 0;
			for (slot = 0; slot < SLOTS; slot++)
				sum += w->bytes[slot];
			expect(stored(w) <= sum + sum / 10 + PAGE_SIZE);
		}
	}
	check_all(w);
	all_back(w);
	end_world(w);
}

/* Most is freed at once: what is left gets together */
static void shrunk(const void *arg)
{
	struct world *w = new_world();
	unsigned long slot, sum;

	(void)arg;
	pack_begin(&w->pack);
	for (slot = 0; slot < 4000; slot++)
		fill_slot(w, slot);
	pack_end(&w->pack);
	for (slot = 0; slot < 4000; slot++)
		if (slot % 10)
			empty_slot(w, slot);
	clean_up(w);
	sum = check_all(w);
	expect(stored(w) <= sum + sum / 10 + PAGE_SIZE);
	all_back(w);
	end_world(w);
}

/* A pool without a free page can be packed, but not cleaned */
static void dry(const void *arg)
{
	struct world *w = new_world();
	unsigned long slot, pages = 1000;
	long page[1000];
	unsigned int moved = 0, bytes;

	(void)arg;
	w->limit = pages;
	for (slot = 0; slot < pages; slot++) {
		page[slot] = take(&w->pack);
		w->pack.slots[slot].word = slot_raw(page[slot], 0);
	}
	expect_eq(take(&w->pack), -1);
	pack_begin(&w->pack);
	for (slot = 0; slot < pages; slot++) {
		bytes = some_bytes(&w->seed);
		expect(append(w, slot, slot_raw(page[slot], 0), 1, bytes, page[slot]));
		w->version[slot] = 1;
		w->bytes[slot] = bytes;
	}
	pack_end(&w->pack);
	check_all(w);
	for (slot = 0; slot < pages; slot += 2)
		empty_slot(w, slot);
	w->limit = 0;
	pack_begin(&w->pack);
	while (pack_clean(&w->pack, &moved) > 0)
		;
	pack_end(&w->pack);
	check_all(w);
	w->limit = POOL;
	all_back(w);
	end_world(w);
}

static void lost(const void *arg)
{
	struct world *w = new_world();
	long page = take(&w->pack);
	unsigned long slot;

	(void)arg;
	pack_begin(&w->pack);
	for (slot = 0; slot < 100; slot++) {
		/* Rewritten, read, freed: it isn't what it was */
		w->pack.slots[slot].word = slot_raw(page, 6);
		expect(!append(w, slot, slot_raw(page, 6) | SLOT_CLAIMED, 1, 1000, page));
		expect(!append(w, slot, slot_raw(page, 5), 1, 1000, page));
		expect_eq(w->pack.slots[slot].word, slot_raw(page, 6));
		w->pack.slots[slot].word = 0;
		fill_slot(w, slot);
	}
	pack_end(&w->pack);
	put(&w->pack, page);
	expect(stored(w) < check_all(w) * 51 / 50 + PAGE_SIZE);
	all_back(w);
	end_world(w);
}

/* Nothing more goes to a page that went bad while it was filled */
static void bad_tail(const void *arg)
{
	struct world *w = new_world();
	unsigned long slot;

	(void)arg;
	pack_begin(&w->pack);
	for (slot = 0; slot < 200; slot++) {
		fill_slot(w, slot);
		if (slot % 10)
			continue;
		w->bad = w->pack.tail;
		fill_slot(w, slot + 1000);
		expect(pack_where(w->pack.slots[slot + 1000].word).page != w->bad);
		expect(w->pack.tail != w->bad);
	}
	pack_end(&w->pack);
	check_all(w);
	for (slot = 0; slot < 2000; slot += 2)
		empty_slot(w, slot);
	/* Nor what moves: there may be no other page just then */
	w->bad = w->pack.tail;
	clean_up(w);
	check_all(w);
	all_back(w);
	end_world(w);
}

/* Each bit of an object counts; who damages one doesn't harm others, nor those who clean up */
static void damaged(const void *arg)
{
	struct world *w = new_world();
	unsigned char object[PACK_OBJECT_MAX];
	unsigned int all = compose(object, 9, 1, 100), bit, moved = 0;
	unsigned long slot, page;

	(void)arg;
	for (bit = 0; bit < all * 8; bit++) {
		object[bit / 8] ^= 1 << bit % 8;
		expect(!pack_intact(object, 9, all));
		object[bit / 8] ^= 1 << bit % 8;
	}
	expect(pack_intact(object, 9, all));
	expect(!pack_intact(object, 8, all));
	expect(!pack_intact(object, 9, all - 1));

	pack_begin(&w->pack);
	for (slot = 0; slot < 2000; slot++)
		fill_slot(w, slot);
	for (page = 0; page < POOL; page += 3)
		for (bit = 0; bit < 64; bit++)
			((unsigned char *)w->pack.addr)[page * PAGE_SIZE +
				unit_random(&w->seed) % PAGE_SIZE] ^= unit_random(&w->seed);
	for (slot = 0; slot < 2000; slot += 3)
		empty_slot(w, slot);
	while (pack_clean(&w->pack, &moved) > 0)
		;
	pack_end(&w->pack);
	expect(moved > 0);
	all_back(w);
	end_world(w);
}

/* Threads: the first one compresses and cleans, others rewrite, free and read */
static void race(unsigned int id, void *arg)
{
	struct world *w = arg;
	u64 seed = unit_seed(100 + id);
	unsigned int i, bytes, moved = 0;
	unsigned long slot, word;

	shim_perturb_seed = unit_seed(200 + id) | 1;
	for (i = 0; i < 20000 && !unit_failed(); i++) {
		struct slot *s;

		slot = unit_random(&seed) % 64 * 4 + (id ? id - 1 : unit_random(&seed) % 4);
		s = &w->pack.slots[slot];
		if (!id) {
			word = slot_get(s);
			if (slot_kind(word) != SLOT_RAW)
				continue;
			slot_lock(s);
			word = slot_get(s);
			if (slot_kind(word) != SLOT_RAW) {
				slot_unlock(s);
				continue;
			}
			slot_set(s, word | SLOT_CLAIMED);
			bytes = w->bytes[slot];
			slot_unlock(s);
			pack_begin(&w->pack);
			append(w, slot, word | SLOT_CLAIMED, w->version[slot], bytes,
			       slot_page(word));
			if (i % 64 == 0)
				while (pack_clean(&w->pack, &moved) > 0)
					;
			pack_end(&w->pack);
		} else if (unit_random(&seed) % 2) {
			check_slot(w, slot);
		} else {
			long page = unit_random(&seed) % 4 ? take(&w->pack) : -1;

			bytes = some_bytes(&seed);
			slot_lock(s);
			word = slot_get(s);
			slot_set(s, page < 0 ? 0 : slot_raw(page, 0));
			/* each slot has one owner: its version doesn't change */
			w->bytes[slot] = page < 0 ? 0 : bytes;
			slot_unlock(s);
			if (slot_kind(word) == SLOT_PACKED)
				pack_free(&w->pack, word);
			else if (slot_kind(word) == SLOT_RAW)
				put(&w->pack, slot_page(word));
		}
	}
	shim_perturb_seed = 0;
}

static void threads(const void *arg)
{
	struct world *w = new_world();
	unsigned long slot, word;

	(void)arg;
	unit_threads(5, race, w);
	for (slot = 0; slot < SLOTS; slot++) {
		check_slot(w, slot);
		word = w->pack.slots[slot].word;
		if (slot_kind(word) == SLOT_RAW) {
			put(&w->pack, slot_page(word));
			w->pack.slots[slot].word = 0;
		}
	}
	all_back(w);
	end_world(w);
}

static const struct unit_case cases[] = {
	{ "words keep where and how long", words, NULL },
	{ "dense", dense, NULL },
	{ "the tail is gone on with", tail, NULL },
	{ "dense after churn", churn, NULL },
	{ "dense after most is freed", shrunk, NULL },
	{ "a pool without a free page", dry, NULL },
	{ "a slot that changed is left alone", lost, NULL },
	{ "a page that went bad", bad_tail, NULL },
	{ "damage is noticed", damaged, NULL },
	{ "threads", threads, NULL },
};

int main(int argc, char **argv)
{
	return unit_main(argc, argv, cases, ARRAY_SIZE(cases));
}
