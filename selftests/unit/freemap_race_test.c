// SPDX-License-Identifier: GPL-2.0-only
/*
 * The free map under several threads that get, put and mark pages bad at the same time.
 */

#include <sched.h>
#include <stdlib.h>

#include <linux/array_size.h>
#include <linux/errno.h>

#include "freemap_check.h"

#define NR_WORKERS	4

/**
 * struct setup - a situation
 * @size: pages
 * @hold: pages a worker holds at most
 * @nr_gets: how often each worker asks for a page
 * @greedy: workers prefer to get, so that the map is nearly full all the time
 * @enough: there are always pages for everyone: a get that finds none has failed
 * @reserve: pages that workers must leave free, give or take one for each of them
 * @nr_markers: threads that mark pages bad
 * @nr_marks: how many (not necessarily different) pages each of them marks
 */
struct setup {
	unsigned long size;
	unsigned int hold;
	unsigned int nr_gets;
	bool greedy;
	bool enough;
	unsigned long reserve;
	unsigned int nr_markers;
	unsigned int nr_marks;
};

/**
 * struct page - what the test knows about a page
 * @owner: worker that holds it, counted from 1; 0 for none
 * @data: written by the owner, without any care: the thread sanitizer proves that
 *	owners follow each other
 * @marked: marks that were the first one
 * @marked_at: value of the clock when a mark was complete
 */
struct page {
	unsigned int owner;
	unsigned int data;
	unsigned int marked;
	unsigned long marked_at;
};

struct race {
	const struct setup *setup;
	struct freemap map;
	struct page *pages;
	unsigned long *left[NR_WORKERS];
	unsigned int nr_left[NR_WORKERS];
	unsigned long clock;
	unsigned long progress;
};

static void claim(struct race *race, unsigned int id, long bit, unsigned long asked_at)
{
	struct page *page = &race->pages[bit];
	unsigned long marked_at = __atomic_load_n(&page->marked_at, __ATOMIC_RELAXED);

	expect_eq(__atomic_exchange_n(&page->owner, id + 1, __ATOMIC_RELAXED), 0);
	page->data = id;
	/* one that was bad before this worker asked can't be what it gets */
	if (marked_at)
		expect(marked_at > asked_at);
}

static void release(struct race *race, unsigned int id, unsigned long bit)
{
	struct page *page = &race->pages[bit];

	expect_eq(page->data, id);
	page->data = 99;
	expect_eq(__atomic_exchange_n(&page->owner, 0, __ATOMIC_RELAXED), id + 1);
	freemap_put(&race->map, bit);
}

static void work(struct race *race, unsigned int id)
{
	const struct setup *setup = race->setup;
	unsigned long cursor = freemap_start(&race->map, id, NR_WORKERS), asked_at;
	unsigned long *held = race->left[id];
	unsigned int n = 0, i = 0, pick;
	uint64_t random = unit_seed(id);
	long bit;

	while (i < setup->nr_gets && !unit_failed()) {
		bool get = unit_random(&random) % 8 < (setup->greedy ? 7 : 4);

		if (n < setup->hold && (get || !n)) {
			asked_at = __atomic_load_n(&race->clock, __ATOMIC_ACQUIRE);
			bit = freemap_get(&race->map, &cursor, setup->reserve);
			i++;
			__atomic_fetch_add(&race->progress, 1, __ATOMIC_RELAXED);
			if (bit >= 0) {
				if (!expect((unsigned long)bit < setup->size))
					break;
				claim(race, id, bit, asked_at);
				/* others may have looked at the count together with us */
				expect(freemap_nr_free(&race->map) + NR_WORKERS - 1 >=
				       setup->reserve);
				held[n++] = bit;
				continue;
			}
			expect_eq(bit, -ENOSPC);
			expect(!setup->enough);
			if (!n)
				sched_yield();
		}
		if (n) {
			pick = unit_random(&random) % n;
			release(race, id, held[pick]);
			held[pick] = held[--n];
		}
	}
	race->nr_left[id] = n;
}

/* Marks pages all the time while the workers work. */
static void mark(struct race *race)
{
	const struct setup *setup = race->setup;
	unsigned long total = (unsigned long)setup->nr_gets * NR_WORKERS;
	uint64_t random = unit_seed(500);	/* the same for all who mark */
	unsigned long bit;
	unsigned int i;

	for (i = 0; i < setup->nr_marks && !unit_failed(); i++) {
		struct page *page;

		while (__atomic_load_n(&race->progress, __ATOMIC_RELAXED) <
		       total * i / setup->nr_marks && !unit_failed())
			sched_yield();
		bit = unit_random(&random) % setup->size;
		page = &race->pages[bit];
		if (freemap_mark_bad(&race->map, bit))
			expect_eq(__atomic_fetch_add(&page->marked, 1, __ATOMIC_RELAXED), 0);
		expect(freemap_is_bad(&race->map, bit));
		__atomic_store_n(&page->marked_at,
				 __atomic_add_fetch(&race->clock, 1, __ATOMIC_ACQ_REL),
				 __ATOMIC_RELAXED);
	}
}

static void race_thread(unsigned int id, void *arg)
{
	if (id < NR_WORKERS)
		work(arg, id);
	else
		mark(arg);
}

static void run_race(const void *arg)
{
	const struct setup *setup = arg;
	struct race race = { .setup = setup };
	unsigned long in_use = 0, marked = 0, cursor = 0, bit;
	unsigned int id, i;
	long got;

	race.pages = calloc(setup->size, sizeof(*race.pages));
	for (id = 0; id < NR_WORKERS; id++)
		race.left[id] = calloc(setup->hold, sizeof(*race.left[id]));
	if (freemap_init(&race.map, setup->size, NR_WORKERS, 0))
		abort();

	unit_threads(NR_WORKERS + setup->nr_markers, race_thread, &race);

	for (id = 0; id < NR_WORKERS; id++)
		in_use += race.nr_left[id];
	if (!unit_failed())
		check_at_rest(&race.map, in_use);
	for (bit = 0; bit < setup->size; bit++) {
		expect_eq(race.pages[bit].marked, freemap_is_bad(&race.map, bit));
		marked += race.pages[bit].marked;
	}
	expect_eq(atomic_long_read(&race.map.nr_marked), marked);
	expect_eq(marked > 0, setup->nr_markers > 0);

	/* All come back, and all that aren't bad can be had again */
	for (id = 0; id < NR_WORKERS; id++)
		for (i = 0; i < race.nr_left[id]; i++)
			release(&race, id, race.left[id][i]);
	if (!unit_failed())
		check_at_rest(&race.map, 0);
	for (in_use = 0; !unit_failed(); in_use++) {
		got = freemap_get(&race.map, &cursor, 0);
		if (got < 0)
			break;
		claim(&race, 0, got, race.clock);
	}
	expect_eq(in_use, setup->size - marked);
	expect_eq(atomic_long_read(&race.map.nr_retired), marked);
	if (!unit_failed())
		check_at_rest(&race.map, in_use);

	freemap_destroy(&race.map);
	for (id = 0; id < NR_WORKERS; id++)
		free(race.left[id]);
	free(race.pages);
}

#define RACE(name, ...)	{ name, run_race, &(const struct setup){ __VA_ARGS__ } }

static const struct unit_case cases[] = {
	RACE("each page has one owner: one word", .size = 64, .hold = 30, .nr_gets = 30000),
	RACE("each page has one owner: several sections", .size = 3 * 4096 + 5, .hold = 3000,
	     .nr_gets = 40000),
	/* one section, and as many pages as all may hold together: tickets never run out */
	RACE("nearly full, one section: nobody is refused", .size = 4 * 7, .hold = 7,
	     .nr_gets = 40000, .greedy = true, .enough = true),
	RACE("nearly full, one section of many words: nobody is refused", .size = 4 * 1000,
	     .hold = 1000, .nr_gets = 40000, .greedy = true, .enough = true),
	RACE("three pages for four", .size = 3, .hold = 1, .nr_gets = 40000, .greedy = true),
	RACE("nearly full, several sections", .size = 2 * 4096 + 1, .hold = 2049,
	     .nr_gets = 40000, .greedy = true),
	RACE("the reserve is kept, but for one page a worker", .size = 100, .hold = 25,
	     .nr_gets = 40000, .greedy = true, .reserve = 17),
	RACE("some pages go bad", .size = 3 * 4096 + 5, .hold = 1000, .nr_gets = 40000,
	     .nr_markers = 1, .nr_marks = 2000),
	RACE("most pages go bad, nearly full", .size = 200, .hold = 60, .nr_gets = 40000,
	     .greedy = true, .nr_markers = 1, .nr_marks = 300),
	RACE("a page goes bad once, whoever says so", .size = 4097, .hold = 800,
	     .nr_gets = 30000, .nr_markers = 3, .nr_marks = 2000),
	RACE("all pages go bad, whoever says so", .size = 20, .hold = 5, .nr_gets = 30000,
	     .nr_markers = 2, .nr_marks = 200),
};

int main(int argc, char **argv)
{
	return unit_main(argc, argv, cases, ARRAY_SIZE(cases));
}
