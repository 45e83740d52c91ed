// SPDX-License-Identifier: GPL-2.0-only
/*
 * The free map, interrupted between any two of its steps by someone who uses it, too.
 */

#include <stdlib.h>

#include <linux/array_size.h>
#include <linux/errno.h>

#include "freemap_check.h"

#define NR_ROUNDS	20
#define NR_OPERATIONS	1000

/**
 * struct world - the map and what is known about its pages
 * @map: the map
 * @used: pages in use
 * @nr_used: how many
 * @in_use: of each page, is it among @used?
 * @marked_at: of each page, value of @clock when it was marked bad; 0 for never
 * @clock: counts operations begun
 * @random: state of the generator
 * @cursor: one for the interrupted, one for the interrupt
 * @may_mark: pages may go bad
 * @nr_interrupts: how many there were
 */
struct world {
	struct freemap map;
	unsigned long *used;
	unsigned long nr_used;
	uint8_t *in_use;
	unsigned long *marked_at;
	unsigned long clock;
	uint64_t random;
	unsigned long cursor[2];
	bool may_mark;
	unsigned long nr_interrupts;
};

static struct world world;

static void get(unsigned long *cursor)
{
	unsigned long began = ++world.clock;
	long bit = freemap_get(&world.map, cursor, 0);

	if (bit < 0) {
		expect_eq(bit, -ENOSPC);
		return;
	}
	if (!expect((unsigned long)bit < world.map.nr_bits) || !expect(!world.in_use[bit]))
		return;
	if (world.marked_at[bit])
		expect(world.marked_at[bit] > began);
	world.in_use[bit] = 1;
	world.used[world.nr_used++] = bit;
}

static void put(void)
{
	unsigned long which, bit;

	if (!world.nr_used)
		return;
	which = unit_random(&world.random) % world.nr_used;
	bit = world.used[which];
	world.used[which] = world.used[--world.nr_used];
	world.in_use[bit] = 0;
	freemap_put(&world.map, bit);
}

static void mark(void)
{
	unsigned long bit = unit_random(&world.random) % world.map.nr_bits;

	freemap_mark_bad(&world.map, bit);
	if (!world.marked_at[bit])
		world.marked_at[bit] = ++world.clock;
}

static void operate(unsigned long *cursor)
{
	unsigned long op = unit_random(&world.random) % 64;

	if (op == 0 && world.may_mark)
		mark();
	else if (op < 36)
		get(cursor);
	else
		put();
}

static void interrupt(void)
{
	if (unit_random(&world.random) % 4)
		return;
	world.nr_interrupts++;
	do
		operate(&world.cursor[1]);
	while (unit_random(&world.random) % 2);
}

static unsigned long run_round(unsigned long size, uint64_t seed)
{
	unsigned long bit, marked = 0, i;

	world = (struct world){ .random = seed };
	world.used = calloc(size, sizeof(*world.used));
	world.in_use = calloc(size, 1);
	world.marked_at = calloc(size, sizeof(*world.marked_at));
	if (freemap_init(&world.map, size, 1, 0))
		abort();
	for (i = 0; i < NR_OPERATIONS && !unit_failed(); i++) {
		/* at first no page is bad; later they become fewer */
		world.may_mark = i > NR_OPERATIONS / 2;
		shim_interrupt = interrupt;
		operate(&world.cursor[0]);
		shim_interrupt = NULL;
		if (size < 100 || i % 100 == 0)
			check_at_rest(&world.map, world.nr_used);
	}

	/* All pages that aren't bad are still there */
	while (world.nr_used)
		put();
	for (bit = 0; bit < size; bit++)
		marked += freemap_is_bad(&world.map, bit);
	for (i = 0; i <= size; i++)
		get(&world.cursor[0]);
	expect_eq(world.nr_used, size - marked);
	check_at_rest(&world.map, size - marked);

	freemap_destroy(&world.map);
	free(world.used);
	free(world.in_use);
	free(world.marked_at);
	return world.nr_interrupts;
}

static void interrupted(const void *arg)
{
	unsigned long size = *(const unsigned long *)arg, nr_interrupts = 0;
	unsigned int i;

	for (i = 0; i < NR_ROUNDS && !unit_failed(); i++)
		nr_interrupts += run_round(size, unit_seed(100 * size + i));
	if (!unit_failed())
		expect(nr_interrupts > NR_ROUNDS * NR_OPERATIONS / 10);
}

#define INTERRUPTED(n)	{ "interrupted by another user: " #n " pages", interrupted, \
			  &(const unsigned long){ n } }

static const struct unit_case cases[] = {
	INTERRUPTED(1),
	INTERRUPTED(2),
	INTERRUPTED(3),
	INTERRUPTED(20),
	INTERRUPTED(65),
	INTERRUPTED(4100),
};

int main(int argc, char **argv)
{
	return unit_main(argc, argv, cases, ARRAY_SIZE(cases));
}
