// SPDX-License-Identifier: GPL-2.0-only
/*
 * Packing: what goes in comes out, how dense it is, races of those who free, rewrite and read.
 */

#include <linux/array_size.h>
#include <linux/minmax.h>
#include <linux/types.h>

#include <string.h>

#include "pack_world.h"
#include "unit.h"

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
	expect_eq(w->nr_taken, pack_nr_pages(&w->pack));
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
	expect(stored(w) < check_all(w) * 51 / 50 + 2 * PAGE_SIZE);
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
	expect(stored(w) < check_all(w) * 51 / 50 + 2 * PAGE_SIZE);
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

/* Overwrites what is a slot's still. */
static void blank(struct world *w, unsigned long slot)
{
	unsigned long word = w->pack.slots[slot].word, next;
	struct pack_where at = pack_where(word);
	unsigned int first;

	if (slot_kind(word) != SLOT_PACKED)
		return;
	next = pack_next(&w->pack, word);
	first = next == PACK_NONE ? at.len : PACK_GRANULES - at.at;
	memset(w->pack.addr + at.page * PAGE_SIZE + at.at * PACK_GRANULE, 0, first * PACK_GRANULE);
	if (next != PACK_NONE)
		memset(w->pack.addr + next * PAGE_SIZE, 0, (at.len - first) * PACK_GRANULE);
}

/* Granules in a row that aren't zeros, at most, in pages that are taken */
static unsigned int longest_left(const struct world *w)
{
	unsigned int longest = 0, run = 0;
	unsigned long page, i;

	for (page = 0; page < POOL; page++) {
		const u32 *granules = w->pack.addr + page * PAGE_SIZE;

		for (i = 0; w->taken[page] && i < PACK_GRANULES; i++) {
			run = granules[i] ? run + 1 : 0;
			longest = max(longest, run);
		}
	}
	return longest;
}

/* Where pages are wiped as they are freed, pages that stay keep headers at most, of who has gone */
static void wiped(const void *arg)
{
	struct world *w = new_world();
	unsigned long slot;
	unsigned int i;
	long page;

	w->pack.wipe = *(const bool *)arg;
	for (i = 0; i < 2000; i++) {
		slot = unit_random(&w->seed) % 500;
		empty_slot(w, slot);
		pack_begin(&w->pack);
		if (unit_random(&w->seed) % 3)
			fill_slot(w, slot);
		/* What is begun for a slot that changes meanwhile */
		page = take(&w->pack);
		expect(!append(w, SLOTS - 1, slot_raw(page, 5), 1, some_bytes(&w->seed), page));
		put(&w->pack, page);
		pack_end(&w->pack);
		if (i % 500 == 499)
			clean_up(w);
	}
	check_all(w);
	expect(pack_nr_pages(&w->pack) > 50);
	for (slot = 0; slot < SLOTS; slot++)
		blank(w, slot);
	if (w->pack.wipe)
		expect(longest_left(w) < DIV_ROUND_UP(sizeof(struct pack_header), PACK_GRANULE));
	else
		expect(longest_left(w) > 100);
	all_back(w);
	end_world(w);
}

static const bool yes = true, no;

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
				while (pack_clean(&w->pack, &moved))
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
	{ "a slot that changed is left alone", lost, NULL },
	{ "a page that went bad", bad_tail, NULL },
	{ "wiped as it is freed", wiped, &yes },
	{ "not wiped", wiped, &no },
	{ "threads", threads, NULL },
};

int main(int argc, char **argv)
{
	return unit_main(argc, argv, cases, ARRAY_SIZE(cases));
}
