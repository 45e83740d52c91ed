// SPDX-License-Identifier: GPL-2.0-only
/*
 * The free map, used by one thread: every size, every page, every way a page goes bad.
 */

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <linux/array_size.h>
#include <linux/errno.h>

#include "freemap_check.h"

#define SECTION_MIN	4096UL
#define SECTION_MAX	262144UL
#define TWO_SECTIONS	(2 * SECTION_MIN)

static const unsigned int cpu_counts[] = { 1, 2, 3, 7, 64, 1000, 8192 };

static void make_map(struct freemap *map, unsigned long size, unsigned int nr_cpus)
{
	memset(map, 0xa5, sizeof(*map));
	if (freemap_init(map, size, nr_cpus, -1))
		abort();
}

/* Takes all but the reserve; none twice, none out of range, none bad. Returns how many. */
static unsigned long drain_to(struct freemap *map, unsigned long *cursor, uint8_t *seen,
			      unsigned long reserve)
{
	unsigned long n = 0, free = freemap_nr_free(map);
	long bit;

	while ((bit = freemap_get(map, cursor, reserve)) >= 0) {
		if (!expect((unsigned long)bit < map->nr_bits))
			break;
		if (!expect(!seen[bit]))
			break;
		expect(!freemap_is_bad(map, bit));
		seen[bit] = 1;
		n++;
		if (n % 4096 == 0 && !expect_eq(freemap_nr_free(map), free - n))
			break;
	}
	if (!unit_failed())
		expect_eq(bit, -ENOSPC);
	return n;
}

static unsigned long drain(struct freemap *map, unsigned long *cursor, uint8_t *seen)
{
	return drain_to(map, cursor, seen, 0);
}

static unsigned long give_back(struct freemap *map, uint8_t *seen)
{
	unsigned long bit, n = 0;

	for (bit = 0; bit < map->nr_bits; bit++) {
		if (!seen[bit])
			continue;
		freemap_put(map, bit);
		seen[bit] = 0;
		n++;
	}
	return n;
}

/* ---- Getting and putting ---- */

static void every_page_once(const void *arg)
{
	unsigned long size = *(const unsigned long *)arg, cursor;
	uint8_t *seen = calloc(size, 1);
	struct freemap map;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(cpu_counts) && !unit_failed(); i++) {
		unsigned int nr_cpus = cpu_counts[i];

		make_map(&map, size, nr_cpus);
		check_at_rest(&map, 0);
		expect_eq(freemap_nr_free(&map), size);

		cursor = freemap_start(&map, nr_cpus / 2, nr_cpus);
		expect_eq(drain(&map, &cursor, seen), size);
		check_at_rest(&map, size);
		expect_eq(freemap_nr_free(&map), 0);
		expect_eq(freemap_get(&map, &cursor, 0), -ENOSPC);

		/* ... and once more after all have come back */
		expect_eq(give_back(&map, seen), size);
		check_at_rest(&map, 0);
		expect_eq(drain(&map, &cursor, seen), size);
		memset(seen, 0, size);
		freemap_destroy(&map);
	}
	free(seen);
}

static void last_page(const void *arg)
{
	unsigned long size = *(const unsigned long *)arg, cursor = 0, bit;
	uint8_t *seen = calloc(size, 1);
	uint64_t random = unit_seed(1);
	struct freemap map;
	unsigned int i;

	/* In a full map the one page that comes back is found, wherever the search begins */
	make_map(&map, size, 2);
	expect_eq(drain(&map, &cursor, seen), size);
	for (i = 0; i < 300; i++) {
		bit = i == 0 ? 0 : i == 1 ? size - 1 : unit_random(&random) % size;
		cursor = unit_random(&random) % size;
		freemap_put(&map, bit);
		expect_eq(freemap_nr_free(&map), 1);
		if (!expect_eq(freemap_get(&map, &cursor, 0), bit))
			break;
		expect(cursor < size);
		expect_eq(freemap_get(&map, &cursor, 0), -ENOSPC);
	}
	check_at_rest(&map, size);
	freemap_destroy(&map);
	free(seen);
}

static void own_section_first(const void *arg)
{
	const unsigned int nr_cpus = 4;
	unsigned long cursor, start, size = 64 * SECTION_MIN, i, section;
	uint8_t *seen = calloc(size, 1);
	struct freemap map;
	unsigned int cpu;

	(void)arg;
	make_map(&map, size, nr_cpus);
	section = 1UL << map.shift;
	for (cpu = 0; cpu < nr_cpus; cpu++) {
		start = freemap_start(&map, cpu, nr_cpus);
		cursor = start + section / 2;
		/* from the middle of its section to the end, then the beginning, then the next */
		for (i = 0; i < section; i++)
			if (!expect_eq(freemap_get(&map, &cursor, 0),
				       start + (i + section / 2) % section))
				break;
		expect_eq(freemap_get(&map, &cursor, 0), start + section);
	}
	check_at_rest(&map, nr_cpus * (section + 1));
	freemap_destroy(&map);
	free(seen);
}

/* Any operations in any order, compared with a model that is a byte for each page */
static void random_operations(const void *arg)
{
	unsigned long size = *(const unsigned long *)arg, bit, in_use = 0, op;
	enum { FREE, USED, RETIRED };
	uint8_t *state = calloc(size, 1), *bad = calloc(size, 1);
	unsigned long *used = calloc(size, sizeof(*used));
	unsigned long cursor[4], retired = 0, i, goal = size;
	uint64_t random = unit_seed(size);
	struct freemap map;
	long got;

	make_map(&map, size, 4);
	for (i = 0; i < 4; i++)
		cursor[i] = freemap_start(&map, i, 4);
	for (i = 0; i < 60000 && !unit_failed(); i++) {
		if (i % 5000 == 0)	/* filling and emptying take turns */
			goal = unit_random(&random) % (size + 1);
		op = unit_random(&random) % 64;
		if (op == 0 && i > 2000) {
			bit = unit_random(&random) % size;
			expect_eq(!freemap_mark_bad(&map, bit), bad[bit]);
			bad[bit] = 1;
			if (state[bit] == FREE) {
				state[bit] = RETIRED;
				retired++;
			}
		} else if (in_use <= goal ? op % 8 : op % 8 == 7) {
			got = freemap_get(&map, &cursor[op % 4], 0);
			if (in_use + retired == size) {
				expect_eq(got, -ENOSPC);
				continue;
			}
			if (!expect(got >= 0 && (unsigned long)got < size))
				break;
			expect_eq(state[got], FREE);
			state[got] = USED;
			used[in_use++] = got;
		} else if (in_use) {
			op = unit_random(&random) % in_use;
			bit = used[op];
			used[op] = used[--in_use];
			freemap_put(&map, bit);
			state[bit] = bad[bit] ? RETIRED : FREE;
			retired += bad[bit];
		}
		expect_eq(freemap_nr_free(&map), size - in_use - retired);
		expect_eq(atomic_long_read(&map.nr_retired), retired);
		if (i % 1000 == 0)
			check_at_rest(&map, in_use);
	}
	check_at_rest(&map, in_use);
	freemap_destroy(&map);
	free(state);
	free(bad);
	free(used);
}

/* ---- The reserve ---- */

/* Soft users get what is beyond the reserve (a page a section more or less), hard ones all */
static void reserve_kept(const void *arg)
{
	unsigned long size = *(const unsigned long *)arg, cursor = 0, got;
	const unsigned long reserves[] = {
		0, 1, 2, size / 64, size / 3, size / 2, size - 1, size,
	};
	uint8_t *seen = calloc(size, 1);
	struct freemap map;
	unsigned int i;

	make_map(&map, size, 4);
	for (i = 0; i < ARRAY_SIZE(reserves) && !unit_failed(); i++) {
		unsigned long reserve = reserves[i] < size ? reserves[i] : size;

		got = drain_to(&map, &cursor, seen, reserve);
		expect(freemap_nr_free(&map) >= reserve);
		expect(reserve == size || freemap_nr_free(&map) < reserve + map.nr_sections);
		expect_eq(freemap_nr_free(&map), size - got);
		if (unit_failed())
			printf("# reserve %lu of %lu\n", reserve, size);
		check_at_rest(&map, got);

		/* the reserve is there for those who may have it */
		expect_eq(drain(&map, &cursor, seen), size - got);
		expect_eq(give_back(&map, seen), size);
	}
	freemap_destroy(&map);
	free(seen);
}

/* It makes no difference where the pages lie that hard users have taken */
static void reserve_kept_by_full_sections(const void *arg)
{
	unsigned long size = 8 * SECTION_MIN, reserve = size / 8, cursor = 0, i, half = size / 2;
	uint8_t *seen = calloc(size, 1);
	struct freemap map;

	(void)arg;
	make_map(&map, size, 1);
	for (i = 0; i < half; i++)
		seen[freemap_get(&map, &cursor, 0)] = 1;
	drain_to(&map, &cursor, seen, reserve);
	expect(freemap_nr_free(&map) >= reserve);
	expect(freemap_nr_free(&map) < reserve + map.nr_sections);
	freemap_destroy(&map);
	free(seen);
}

/* ---- Sections, cursors, memory ---- */

static void sections(const void *arg)
{
	static const unsigned long sizes[] = {
		1, 63, 64, 65, 4095, 4096, 4097, TWO_SECTIONS, SECTION_MAX - 1, SECTION_MAX,
		SECTION_MAX + 1, 3 * SECTION_MAX + 5, 1UL << 22, (1UL << 24) + 1,
	};
	struct freemap map;
	unsigned int i, j;

	(void)arg;
	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		for (j = 0; j < ARRAY_SIZE(cpu_counts); j++) {
			unsigned long section;

			make_map(&map, sizes[i], cpu_counts[j]);
			section = 1UL << map.shift;
			expect_eq(map.nr_bits, sizes[i]);
			expect(section >= SECTION_MIN && section <= SECTION_MAX);
			/* they cover the map, and the last one isn't empty */
			expect(map.nr_sections * section >= sizes[i]);
			expect((map.nr_sections - 1) * section < sizes[i]);
			/* some for each CPU, unless that makes them too small */
			if (section > SECTION_MIN)
				expect(map.nr_sections >= 2 * cpu_counts[j]);
			check_at_rest(&map, 0);
			freemap_destroy(&map);
		}
	}
}

static void start_in_range(const void *arg)
{
	static const unsigned long sizes[] = {
		1, 65, 4096, 4097, SECTION_MAX + 1, 3 * SECTION_MAX + 5, 1UL << 22,
	};
	unsigned long start, previous;
	unsigned int i, cpu, nr_cpus;
	struct freemap map;

	(void)arg;
	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		for (nr_cpus = 1; nr_cpus <= 9000; nr_cpus += 1 + nr_cpus / 3) {
			make_map(&map, sizes[i], nr_cpus);
			previous = 0;
			for (cpu = 0; cpu < nr_cpus; cpu++) {
				start = freemap_start(&map, cpu, nr_cpus);
				expect(start < sizes[i]);
				expect_eq(start % (1UL << map.shift), 0);
				/* no two begin in the same section if there are enough */
				if (cpu == 0)
					expect_eq(start, 0);
				else if (map.nr_sections >= nr_cpus)
					expect(start > previous);
				else
					expect(start >= previous);
				previous = start;
			}
			freemap_destroy(&map);
		}
	}
}

static void cursor_is_a_hint(const void *arg)
{
	static const unsigned long sizes[] = {
		1, 64, 4096, 4097, TWO_SECTIONS, 3 * SECTION_MAX + 5,
	};
	unsigned int i, j;

	(void)arg;
	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		unsigned long size = sizes[i], cursor;
		const unsigned long garbage[] = {
			size - 1, size, size + 1, 2 * size, (size | (SECTION_MAX - 1)) + 1,
			UINT_MAX, 1UL << 32, LONG_MAX, 1UL << 63, ULONG_MAX - 1, ULONG_MAX,
		};
		struct freemap map;
		long bit;

		make_map(&map, size, 2);
		for (j = 0; j < ARRAY_SIZE(garbage); j++) {
			cursor = garbage[j];
			bit = freemap_get(&map, &cursor, 0);
			if (!expect(bit >= 0 && (unsigned long)bit < size))
				break;
			expect(cursor < size);
			/* in a full map as well */
			if (size == 1) {
				cursor = garbage[j];
				expect_eq(freemap_get(&map, &cursor, 0), -ENOSPC);
			}
			check_at_rest(&map, 1);
			freemap_put(&map, bit);
		}
		freemap_destroy(&map);
	}
}

static void bytes(const void *arg)
{
	static const unsigned long sizes[] = {
		1, 64, 65, 4097, 32768, 32769, 3 * SECTION_MAX + 5, 1UL << 22,
	};
	struct freemap map;
	unsigned int i, j;

	(void)arg;
	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		for (j = 0; j < ARRAY_SIZE(cpu_counts); j++) {
			make_map(&map, sizes[i], cpu_counts[j]);
			expect_eq(freemap_bytes(&map), shim_live_bytes());
			freemap_destroy(&map);
			expect_eq(shim_live_bytes(), 0);
		}
	}
}

static void no_memory(const void *arg)
{
	struct freemap map;
	int i;

	(void)arg;
	for (i = 0; i < 3; i++) {
		memset(&map, 0xa5, sizeof(map));
		shim_fail_alloc(i);
		expect_eq(freemap_init(&map, 4097, 2, 0), -ENOMEM);
		expect_eq(shim_live_pieces(), 0);
		shim_fail_alloc(-1);
	}
	/* there are no more than three allocations to fail */
	shim_fail_alloc(3);
	expect_eq(freemap_init(&map, 4097, 2, 0), 0);
	shim_fail_alloc(-1);
	check_at_rest(&map, 0);
	freemap_destroy(&map);
	/* an error path may do it again */
	freemap_destroy(&map);
}

/* ---- Bad pages ---- */

static void bad_while_free(const void *arg)
{
	unsigned long size = TWO_SECTIONS + 5, cursor = 0, i;
	const unsigned long bad[] = { 0, 1, 63, 64, 4095, 4096, size - 1 };
	uint8_t *seen = calloc(size, 1);
	struct freemap map;

	(void)arg;
	make_map(&map, size, 1);
	for (i = 0; i < size; i++)
		expect(!freemap_is_bad(&map, i));
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		expect_eq(freemap_mark_bad(&map, bad[i]), FREEMAP_WAS_FREE);
		expect(freemap_is_bad(&map, bad[i]));
		expect_eq(freemap_nr_free(&map), size - i - 1);
		expect_eq(atomic_long_read(&map.nr_retired), i + 1);
		check_at_rest(&map, 0);
	}
	for (i = 0; i < size; i++)
		seen[i] = freemap_is_bad(&map, i);
	expect_eq(count_bits(map.bad, 0, size), ARRAY_SIZE(bad));
	/* drain() complains about pages seen before */
	expect_eq(drain(&map, &cursor, seen), size - ARRAY_SIZE(bad));
	freemap_destroy(&map);
	free(seen);
}

static void bad_while_in_use(const void *arg)
{
	unsigned long size = SECTION_MIN + 3, cursor = 0;
	bool full = arg;
	uint8_t *seen = calloc(size, 1);
	struct freemap map;
	unsigned long n;
	long bit;

	make_map(&map, size, 1);
	bit = freemap_get(&map, &cursor, 0);
	n = 1 + (full ? drain(&map, &cursor, seen) : 0);
	expect_eq(freemap_mark_bad(&map, bit), FREEMAP_WAS_USED);
	expect(freemap_is_bad(&map, bit));
	/* nothing changes for its owner, nor for the others */
	expect_eq(freemap_nr_free(&map), size - n);
	expect_eq(atomic_long_read(&map.nr_retired), 0);
	check_at_rest(&map, n);

	freemap_put(&map, bit);
	expect_eq(freemap_nr_free(&map), size - n);
	expect_eq(atomic_long_read(&map.nr_retired), 1);
	check_at_rest(&map, n - 1);
	give_back(&map, seen);
	seen[bit] = 1;
	expect_eq(drain(&map, &cursor, seen), size - 1);
	freemap_destroy(&map);
	free(seen);
}

static void bad_twice(const void *arg)
{
	unsigned long size = 100, cursor = 0;
	struct freemap map;
	long used;

	(void)arg;
	make_map(&map, size, 1);
	used = freemap_get(&map, &cursor, 0);
	expect_eq(freemap_mark_bad(&map, 50), FREEMAP_WAS_FREE);
	expect_eq(freemap_mark_bad(&map, used), FREEMAP_WAS_USED);
	expect_eq(freemap_mark_bad(&map, 50), FREEMAP_WAS_BAD);
	expect_eq(freemap_mark_bad(&map, used), FREEMAP_WAS_BAD);
	expect_eq(atomic_long_read(&map.nr_marked), 2);
	expect_eq(atomic_long_read(&map.nr_retired), 1);
	check_at_rest(&map, 1);
	freemap_put(&map, used);
	expect_eq(freemap_mark_bad(&map, used), FREEMAP_WAS_BAD);
	expect_eq(atomic_long_read(&map.nr_retired), 2);
	expect_eq(freemap_nr_free(&map), size - 2);
	check_at_rest(&map, 0);
	freemap_destroy(&map);
}

static void all_bad(const void *arg)
{
	unsigned long size = TWO_SECTIONS + 1, cursor = 5, i;
	unsigned long nr_used = arg ? SECTION_MIN + 100 : 0;
	long *used = calloc(size, sizeof(*used));
	struct freemap map;

	make_map(&map, size, 1);
	for (i = 0; i < nr_used; i++)
		used[i] = freemap_get(&map, &cursor, 0);
	for (i = 0; i < size; i++)
		expect(freemap_mark_bad(&map, i));
	expect_eq(freemap_get(&map, &cursor, 0), -ENOSPC);
	expect_eq(freemap_nr_free(&map), 0);
	check_at_rest(&map, nr_used);
	for (i = 0; i < nr_used; i++)
		freemap_put(&map, used[i]);
	expect_eq(freemap_get(&map, &cursor, 0), -ENOSPC);
	expect_eq(atomic_long_read(&map.nr_retired), size);
	check_at_rest(&map, 0);
	freemap_destroy(&map);
	free(used);
}

/* Marked between the two steps of freemap_put(), which this takes itself */
static void bad_on_its_way_back(const void *arg)
{
	unsigned long size = 64, cursor = 0, i, nr_used = arg ? size - 1 : size;
	uint8_t *seen = calloc(size, 1);
	struct freemap map;

	make_map(&map, size, 1);
	expect_eq(drain(&map, &cursor, seen), size);
	for (i = nr_used; i < size; i++) {	/* a free page whose ticket is there to be taken */
		freemap_put(&map, i);
		seen[i] = 0;
	}

	clear_bit_unlock(7, map.taken);
	seen[7] = 0;
	expect(freemap_mark_bad(&map, 7));
	atomic_inc(&map.sections[0].free);

	check_at_rest(&map, nr_used - 1);
	seen[7] = 1;
	expect_eq(drain(&map, &cursor, seen), size - nr_used);
	check_at_rest(&map, size - 1);
	expect_eq(atomic_long_read(&map.nr_retired), 1);
	freemap_destroy(&map);
	free(seen);
}

#define SIZE(n)		(&(const unsigned long){ n })
#define ONCE(n)		{ "every page once: " #n " pages", every_page_once, SIZE(n) }
#define RESERVE(n)	{ "the reserve is kept: " #n " pages", reserve_kept, SIZE(n) }
#define LAST(n)		{ "the last free page is found: " #n " pages", last_page, SIZE(n) }
#define RANDOM(n)	{ "random operations match a model: " #n " pages", random_operations, \
			  SIZE(n) }

static const struct unit_case cases[] = {
	ONCE(1),
	ONCE(63),
	ONCE(64),
	ONCE(65),
	ONCE(4095),
	ONCE(4096),
	ONCE(4097),
	ONCE(262143),
	ONCE(262144),
	ONCE(262145),
	ONCE(786437),
	RESERVE(1),
	RESERVE(64),
	RESERVE(4096),
	RESERVE(8192),
	RESERVE(4097),
	RESERVE(12293),
	RESERVE(786437),
	{ "the reserve is kept where hard users filled sections", reserve_kept_by_full_sections,
	  NULL },
	LAST(1),
	LAST(65),
	LAST(4097),
	LAST(262145),
	RANDOM(1),
	RANDOM(64),
	RANDOM(65),
	RANDOM(4097),
	RANDOM(20000),
	{ "a CPU fills its own section first", own_section_first, NULL },
	{ "sections cover the map", sections, NULL },
	{ "every CPU starts in range", start_in_range, NULL },
	{ "a cursor out of range does no harm", cursor_is_a_hint, NULL },
	{ "the memory accounted is what is allocated", bytes, NULL },
	{ "allocations that fail", no_memory, NULL },
	{ "bad while free", bad_while_free, NULL },
	{ "bad while in use", bad_while_in_use, NULL },
	{ "bad while in use, map full", bad_while_in_use, "full" },
	{ "bad twice", bad_twice, NULL },
	{ "all bad", all_bad, NULL },
	{ "all bad, many in use", all_bad, "in use" },
	{ "bad on its way back", bad_on_its_way_back, NULL },
	{ "bad on its way back, another page free", bad_on_its_way_back, "another" },
};

int main(int argc, char **argv)
{
	return unit_main(argc, argv, cases, ARRAY_SIZE(cases));
}
