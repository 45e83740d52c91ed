// SPDX-License-Identifier: GPL-2.0-only
/*
 * Packing: what freed objects leave is won back, without a free page too, and nothing is lost.
 */

#include <linux/array_size.h>
#include <linux/types.h>

#include <stdlib.h>

#include "pack_world.h"
#include "unit.h"

/* One page more is being filled, and one is spare. */
static bool is_dense(struct world *w)
{
	return stored(w) <= wanted(w) * 11 / 10 + 2 * PAGE_SIZE;
}

static void churn(const void *arg)
{
	struct world *w = new_world();
	unsigned long slot;
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
			expect(is_dense(w));
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
	unsigned long slot;

	(void)arg;
	pack_begin(&w->pack);
	for (slot = 0; slot < 4000; slot++)
		fill_slot(w, slot);
	pack_end(&w->pack);
	for (slot = 0; slot < 4000; slot++)
		if (slot % 10)
			empty_slot(w, slot);
	clean_up(w);
	check_all(w);
	expect(is_dense(w));
	all_back(w);
	end_world(w);
}

/* All pages of the pool are slots', raw; then they are packed in place. */
static void pack_in_place(struct world *w, unsigned long pages, unsigned int (*size)(u64 *seed))
{
	long page[POOL];
	unsigned long slot;

	w->limit = pages;
	for (slot = 0; slot < pages; slot++) {
		page[slot] = take(&w->pack);
		w->pack.slots[slot].word = slot_raw(page[slot], 0);
	}
	expect_eq(take(&w->pack), -1);
	pack_begin(&w->pack);
	for (slot = 0; slot < pages; slot++) {
		w->version[slot] = 1;
		w->bytes[slot] = size(&w->seed);
		expect(append(w, slot, slot_raw(page[slot], 0), 1, w->bytes[slot], page[slot]));
	}
	pack_end(&w->pack);
	check_all(w);
}

/* A pool without a free page can be packed and cleaned */
static void dry(const void *arg)
{
	struct world *w = new_world();
	unsigned long slot;

	(void)arg;
	pack_in_place(w, 1000, some_bytes);
	for (slot = 0; slot < 1000; slot += 2)
		empty_slot(w, slot);
	w->limit = 0;
	clean_up(w);
	check_all(w);
	expect(is_dense(w));
	all_back(w);
	end_world(w);
}

static unsigned int large(u64 *seed)
{
	return 3000 + unit_random(seed) % 500;
}

/*
 * No more slots than pages, most of them packed. Half are freed and then written again, raw: for
 * all of them there has to be a page, though each one freed has left its gap in a page of others.
 */
static void refilled(const void *arg)
{
	unsigned int (*size)(u64 *seed) = arg ? large : some_bytes;
	struct world *w = new_world();
	unsigned long slot, dry = 0, taken;

	pack_in_place(w, POOL, size);
	for (slot = 0; slot < POOL; slot++)
		if (unit_random(&w->seed) % 2)
			empty_slot(w, slot);
	for (slot = 0; slot < POOL; slot++) {
		long page;

		if (w->pack.slots[slot].word)
			continue;
		page = take(&w->pack);
		if (page < 0) {
			dry++;
			clean_up(w);
			page = take(&w->pack);
		}
		if (!expect(page >= 0))
			break;
		w->pack.slots[slot].word = slot_raw(page, 0);
	}
	expect(dry > 0 || size != large);
	/* And once more, now that no page is left over */
	taken = w->nr_taken;
	w->limit = taken;
	for (slot = 0; slot < POOL; slot++)
		if (w->bytes[slot] && unit_random(&w->seed) % 2)
			empty_slot(w, slot);
	w->limit = 0;
	clean_up(w);
	expect(w->nr_taken < taken);
	check_all(w);
	expect(is_dense(w));
	w->limit = POOL;
	for (slot = 0; slot < POOL; slot++) {
		unsigned long word = w->pack.slots[slot].word;

		if (slot_kind(word) != SLOT_RAW)
			continue;
		put(&w->pack, slot_page(word));
		w->pack.slots[slot].word = 0;
	}
	all_back(w);
	end_world(w);
}

/* The spare page fails while it waits for its turn */
static void bad_spare(const void *arg)
{
	struct world *w = new_world();
	unsigned long slot;
	unsigned int moved = 0;

	(void)arg;
	pack_in_place(w, 1000, some_bytes);
	for (slot = 0; slot < 1000; slot += 2)
		empty_slot(w, slot);
	w->limit = arg ? POOL : 0;
	expect_eq(w->pack.nr_spare, 1);
	w->bad = w->pack.spare[0];
	pack_begin(&w->pack);
	while (pack_clean(&w->pack, &moved))
		;
	pack_end(&w->pack);
	expect(!arg || moved > 0);
	expect(!w->taken[w->bad]);
	expect(!test_bit(w->bad, w->pack.map));
	check_all(w);
	w->bad = PACK_NONE;
	all_back(w);
	end_world(w);
}

/* A page that can't be read costs what is in it. It is left alone, and goes with its last object */
static void failed_page(const void *arg)
{
	struct world *w = new_world();
	unsigned long slot, lost = 0, page;
	bool *gone = calloc(SLOTS, sizeof(*gone));
	unsigned int moved = 0;

	(void)arg;
	pack_begin(&w->pack);
	for (slot = 0; slot < 2000; slot++)
		fill_slot(w, slot);
	pack_end(&w->pack);
	page = pack_where(w->pack.slots[1001].word).page;
	for (slot = 0; slot < 2000; slot++) {
		unsigned long word = w->pack.slots[slot].word;

		gone[slot] = pack_where(word).page == page || pack_next(&w->pack, word) == page;
		lost += gone[slot];
		if (!gone[slot] && slot % 2)
			empty_slot(w, slot);
	}
	expect(lost > 1);
	w->bad = page;
	w->unreadable = page;
	pack_begin(&w->pack);
	while (pack_clean(&w->pack, &moved))
		;
	pack_end(&w->pack);
	expect(moved > 0);
	for (slot = 0; slot < 2000; slot++)
		if (!gone[slot])
			expect_eq(check_slot(w, slot), !!w->bytes[slot]);
	expect(test_bit(page, w->pack.map));
	for (slot = 0; slot < 2000; slot++)
		if (gone[slot])
			empty_slot(w, slot);
	expect(!test_bit(page, w->pack.map));
	expect(!w->taken[page]);
	w->unreadable = PACK_NONE;
	check_all(w);
	all_back(w);
	free(gone);
	end_world(w);
}

/* What can't be cleaned isn't tried over and over, but when there is more of it, or when asked */
static void stuck(const void *arg)
{
	struct world *w = new_world();
	unsigned long slot;
	unsigned int moved = 0;

	(void)arg;
	pack_in_place(w, 1000, some_bytes);
	for (slot = 0; slot < 1000; slot += 5)
		empty_slot(w, slot);
	w->limit = 0;
	pack_begin(&w->pack);
	put(&w->pack, w->pack.spare[--w->pack.nr_spare]);
	w->pack.at = PACK_GRANULES;
	while (pack_clean(&w->pack, &moved))
		;
	expect_eq(moved, 0);
	expect(!pack_clean(&w->pack, &moved));
	w->pack.stuck = 0;
	expect(pack_clean(&w->pack, &moved));
	while (pack_clean(&w->pack, &moved))
		;
	expect_eq(moved, 0);
	expect(!pack_clean(&w->pack, &moved));
	for (slot = 1; slot < 1000; slot += 5)
		empty_slot(w, slot);
	w->limit = POOL;
	expect(pack_clean(&w->pack, &moved));
	pack_end(&w->pack);
	clean_up(w);
	check_all(w);
	all_back(w);
	end_world(w);
}

static bool is_hit(const bool *hit, struct world *w, unsigned long word)
{
	const struct pack_where where = pack_where(word);
	unsigned long page = where.page;
	unsigned int i;

	for (i = 0; i < where.len; i++) {
		if (where.at + i == PACK_GRANULES)
			page = pack_next(&w->pack, word);
		if (hit[page * PACK_GRANULES + (where.at + i) % PACK_GRANULES])
			return true;
	}
	return false;
}

/* Each bit of an object counts; who damages one doesn't harm others, nor those who clean up */
static void damaged(const void *arg)
{
	struct world *w = new_world();
	bool *hit = calloc(POOL * PACK_GRANULES, sizeof(*hit));
	unsigned char object[PACK_OBJECT_MAX];
	unsigned int all = compose(object, 9, 1, 100), bit, moved = 0, harmed = 0;
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
	for (page = 0; page < POOL; page += 3) {
		for (bit = 0; bit < 64; bit++) {
			unsigned long at = page * PAGE_SIZE + unit_random(&w->seed) % PAGE_SIZE;

			((unsigned char *)w->pack.addr)[at] ^= 1 + unit_random(&w->seed) % 255;
			hit[at / PACK_GRANULE] = true;
		}
	}
	for (slot = 0; slot < 2000; slot += 3)
		empty_slot(w, slot);
	for (slot = 0; slot < 2000; slot++) {
		if (!w->bytes[slot] || !is_hit(hit, w, w->pack.slots[slot].word))
			continue;
		harmed++;
		w->bytes[slot] = 0;
	}
	while (pack_clean(&w->pack, &moved))
		;
	pack_end(&w->pack);
	expect(moved > 0 && harmed > 100);
	for (slot = 0; slot < 2000; slot++)
		if (w->bytes[slot])
			expect(check_slot(w, slot));
	all_back(w);
	free(hit);
	end_world(w);
}

static const struct unit_case cases[] = {
	{ "dense after churn", churn, NULL },
	{ "dense after most is freed", shrunk, NULL },
	{ "a pool without a free page", dry, NULL },
	{ "no more slots than pages, freed and written again", refilled, NULL },
	{ "the same, data that hardly gets smaller", refilled, "large" },
	{ "a spare page that went bad, and there is no other", bad_spare, NULL },
	{ "a spare page that went bad", bad_spare, "others" },
	{ "a page that can't be read", failed_page, NULL },
	{ "a page that can't be emptied", stuck, NULL },
	{ "damage is noticed, and harms nobody else", damaged, NULL },
};

int main(int argc, char **argv)
{
	return unit_main(argc, argv, cases, ARRAY_SIZE(cases));
}
