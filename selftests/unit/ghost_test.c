// SPDX-License-Identifier: GPL-2.0-only
/*
 * The memory of what was evicted: what it finds, what it forgets, what it costs.
 */

#include <linux/array_size.h>
#include <linux/types.h>

#include "ghost.h"
#include "unit.h"

#define PAGES	100000UL

static void make(struct ghost *g, unsigned long pages, unsigned long max)
{
	expect_eq(ghost_init(g, pages, max, 0), 0);
}

static void second_time(const void *arg)
{
	struct ghost g;
	u64 key;

	(void)arg;
	make(&g, PAGES, 1UL << 30);
	expect(!ghost_seen(&g, 42));
	expect(ghost_seen(&g, 42));
	/* ... and then it is forgotten */
	expect(!ghost_seen(&g, 42));
	expect(ghost_seen(&g, 42));
	/* page 0 of inode 0 is as good as any */
	expect(!ghost_seen(&g, 0));
	expect(ghost_seen(&g, 0));
	for (key = 1; key < 64; key++)
		ghost_seen(&g, 1ULL << key);
	for (key = 1; key < 64; key++)
		expect(ghost_seen(&g, 1ULL << key));
	ghost_destroy(&g);
}

static void nothing(void)
{
}

/* As the module does, but for the worker's delay */
static bool seen(struct ghost *g, u64 key)
{
	bool yes = ghost_seen(g, key);

	if (ghost_due(g))
		ghost_sweep(g, nothing);
	return yes;
}

/* @percent: how many others are evicted in between, of what it should remember, in percent */
static long found_after(unsigned long percent, unsigned long max)
{
	unsigned long i, found = 0;
	struct ghost g;

	make(&g, PAGES, max);
	for (i = 0; i < PAGES / 10; i++)
		ghost_seen(&g, i);
	for (i = 0; i < PAGES * percent / 100; i++)
		seen(&g, (7ULL << 40) + i);
	for (i = 0; i < PAGES / 10; i++)
		found += ghost_seen(&g, i);
	ghost_destroy(&g);
	return found * 100 / (PAGES / 10);
}

static void horizon(const void *arg)
{
	unsigned long percent;

	(void)arg;
	expect(found_after(0, 1UL << 30) >= 98);
	expect(found_after(50, 1UL << 30) >= 95);
	expect(found_after(80, 1UL << 30) >= 90);
	/* strangers that look alike are all that is found then */
	expect(found_after(150, 1UL << 30) <= 5);
	expect(found_after(1000, 1UL << 30) <= 5);
	/* nor does it come back when the time has gone round */
	for (percent = 175; percent <= 600; percent += 25)
		expect(found_after(percent, 1UL << 30) <= 5);
}

static void a_scan_finds_nothing(const void *arg)
{
	unsigned long i, found = 0;
	struct ghost g;

	(void)arg;
	make(&g, PAGES, 1UL << 30);
	for (i = 0; i < 50 * PAGES; i++)
		found += ghost_seen(&g, i);
	expect(found < 50 * PAGES / 50);
	ghost_destroy(&g);
}

static void size(const void *arg)
{
	struct ghost g;

	(void)arg;
	make(&g, PAGES, 1UL << 30);
	expect(ghost_bytes(&g) >= 2 * 2 * PAGES);
	expect(ghost_bytes(&g) <= 2 * 2 * 2 * PAGES);
	ghost_destroy(&g);
	make(&g, PAGES, 10000);
	expect(ghost_bytes(&g) <= 10000);
	ghost_destroy(&g);
	make(&g, 1, 0);
	expect(ghost_bytes(&g) >= 8);
	expect(!ghost_seen(&g, 1));
	ghost_destroy(&g);
	/* too small for all, but not for some */
	expect(found_after(10, 20000) > 0);
}

static struct ghost shared;

static void evict_all(unsigned int id, void *arg)
{
	unsigned long i;

	(void)arg;
	for (i = 0; i < PAGES; i++)
		ghost_seen(&shared, (u64)id << 48 | i);
}

/* Nothing to lose but an entry now and then; what matters is that nobody gets hurt. */
static void threads(const void *arg)
{
	unsigned long i, found = 0;

	(void)arg;
	make(&shared, 4 * PAGES, 1UL << 30);
	unit_threads(3, evict_all, NULL);
	for (i = 0; i < PAGES; i++)
		found += ghost_seen(&shared, i);
	expect(found > PAGES / 2);
	ghost_destroy(&shared);
}

static const struct unit_case cases[] = {
	{ "the second time", second_time, NULL },
	{ "how long it remembers", horizon, NULL },
	{ "a scan finds nothing", a_scan_finds_nothing, NULL },
	{ "size", size, NULL },
	{ "threads", threads, NULL },
};

int main(int argc, char **argv)
{
	return unit_main(argc, argv, cases, ARRAY_SIZE(cases));
}
