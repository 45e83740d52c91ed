// SPDX-License-Identifier: GPL-2.0-only
/*
 * Which pages of a pool are free: a bitmap in sections, without locks.
 */

/**
 * DOC: the free map
 *
 * One bit a page, in sections of up to 2^18 pages that each count their free
 * bits. Taking a page is two steps: take a *ticket* (decrement the section's
 * count unless it is 0), then search the section for a clear bit and set it. A
 * page is put back in the opposite order: clear the bit, then increment the
 * count. So there are never more tickets than clear bits, a holder of a ticket
 * always finds one, and a full section costs one read.
 *
 * Each CPU begins in a section of its own and goes on from where it last found a
 * page, so CPUs meet in a cache line only when the map is small or nearly full.
 *
 * An sbitmap would do the same with 128 bytes for 64 pages (it spreads words
 * over cache lines); at a bit a page, a 1 TiB pool costs 32 MiB of DRAM instead
 * of 512 MiB.
 *
 * Bad pages have a map of their own, which is only ever added to. Whoever meets a
 * bad page on the way in or out of the free map retires it: the bit in @taken
 * stays set and the ticket is gone.
 */

#include <linux/bitops.h>
#include <linux/errno.h>
#include <linux/log2.h>
#include <linux/math.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/vmalloc.h>

#include "freemap.h"

#define SECTION_SHIFT_MIN	12	/* 16 MiB of pages */
#define SECTION_SHIFT_MAX	18	/* 1 GiB of pages */

static unsigned long map_bytes(unsigned long nr_bits)
{
	return BITS_TO_LONGS(nr_bits) * sizeof(long);
}

static unsigned long section_end(const struct freemap *map, unsigned int section)
{
	return min(map->nr_bits, (unsigned long)(section + 1) << map->shift);
}

/**
 * freemap_init() - make a free map with every page free
 * @map: the map
 * @nr_bits: number of pages, at least 1
 * @nr_cpus: CPUs that will allocate; there are some sections for each if
 *	the map is large enough
 * @nid: NUMA node the map should lie on
 *
 * Context: process context, may sleep.
 * Return: 0 or -ENOMEM.
 */
int freemap_init(struct freemap *map, unsigned long nr_bits,
		 unsigned int nr_cpus, int nid)
{
	unsigned int i;

	map->nr_bits = nr_bits;
	map->shift = clamp_t(unsigned int,
			     ilog2(max(nr_bits / (4UL * nr_cpus), 1UL)),
			     SECTION_SHIFT_MIN, SECTION_SHIFT_MAX);
	map->nr_sections = DIV_ROUND_UP(nr_bits, 1UL << map->shift);
	atomic_long_set(&map->nr_marked, 0);
	atomic_long_set(&map->nr_retired, 0);

	map->taken = vzalloc_node(map_bytes(nr_bits), nid);
	map->bad = vzalloc_node(map_bytes(nr_bits), nid);
	map->sections = kvcalloc_node(map->nr_sections, sizeof(*map->sections),
				      GFP_KERNEL, nid);
	if (!map->taken || !map->bad || !map->sections) {
		freemap_destroy(map);
		return -ENOMEM;
	}
	/* No page is behind these bits, and freemap_get() doesn't look for the end. */
	if (nr_bits % BITS_PER_LONG)
		map->taken[nr_bits / BITS_PER_LONG] =
			~0UL << nr_bits % BITS_PER_LONG;
	for (i = 0; i < map->nr_sections; i++)
		atomic_set(&map->sections[i].free, section_end(map, i) -
			   ((unsigned long)i << map->shift));
	return 0;
}

/**
 * freemap_destroy() - free the memory of a map
 * @map: the map; nobody may use it any more
 *
 * Context: process context, may sleep.
 */
void freemap_destroy(struct freemap *map)
{
	kvfree(map->sections);
	vfree(map->bad);
	vfree(map->taken);
	map->sections = NULL;
	map->bad = NULL;
	map->taken = NULL;
}

/**
 * freemap_bytes() - memory that a map takes
 * @map: the map
 *
 * Return: bytes of DRAM.
 */
unsigned long freemap_bytes(const struct freemap *map)
{
	return 2 * PAGE_ALIGN(map_bytes(map->nr_bits)) +
	       map->nr_sections * sizeof(*map->sections);
}

/**
 * freemap_start() - where a CPU should begin its search
 * @map: the map
 * @cpu: number of the CPU
 * @nr_cpus: number of CPUs
 *
 * Return: the first bit of a section.
 */
unsigned long freemap_start(const struct freemap *map, unsigned int cpu,
			    unsigned int nr_cpus)
{
	unsigned long section = (unsigned long)cpu * map->nr_sections / nr_cpus;

	return section << map->shift;
}

/* The caller holds a ticket of this section: a clear bit is there or coming. */
static unsigned long take_bit(struct freemap *map, unsigned int section,
			      unsigned long from)
{
	unsigned long first = (unsigned long)section << map->shift;
	unsigned long end = section_end(map, section);
	unsigned long bit = from;

	for (;;) {
		/* A hint: who gets the bit is decided below. */
		bit = data_race(find_next_zero_bit(map->taken, end, bit));
		if (bit >= end) {
			bit = first;
			cpu_relax();
			continue;
		}
		/* Pairs with clear_bit_unlock() in freemap_put(). */
		if (!test_and_set_bit_lock(bit, map->taken))
			return bit;
	}
}

/**
 * freemap_get_from() - take a free page, wherever there is one
 * @map: the map
 * @cursor: where this CPU goes on searching
 * @from: what it said
 * @ticket: the caller has one, of the section that @from is in
 *
 * Context: any, interrupts in any state. Doesn't sleep or take locks.
 * Return: the page's bit, or -ENOSPC when no page is free.
 */
long freemap_get_from(struct freemap *map, unsigned long *cursor,
		      unsigned long from, bool ticket)
{
	unsigned int section = from >> map->shift, i;
	unsigned long bit;

	for (i = 0; i < map->nr_sections; ) {
		if (!ticket &&
		    atomic_dec_if_positive(&map->sections[section].free) < 0) {
			i++;
			if (++section == map->nr_sections)
				section = 0;
			from = (unsigned long)section << map->shift;
			continue;
		}
		ticket = false;
		bit = take_bit(map, section, from);
		from = freemap_after(map, bit);
		if (unlikely(freemap_is_bad(map, bit))) {
			/* Marked while it was on its way back: keep it. */
			atomic_long_inc(&map->nr_retired);
			continue;
		}
		WRITE_ONCE(*cursor, from);
		return bit;
	}
	return -ENOSPC;
}

/**
 * freemap_mark_bad() - a page must not be handed out again
 * @map: the map
 * @bit: the page, free or not
 *
 * Context: any. Doesn't sleep or take locks.
 * Return: what it was: FREEMAP_WAS_BAD is 0. When it is on its way in or out at this very
 * moment it may be said to be in use.
 */
enum freemap_mark freemap_mark_bad(struct freemap *map, unsigned long bit)
{
	struct freemap_section *section = &map->sections[bit >> map->shift];

	atomic_long_inc(&map->nr_marked);
	/*
	 * The count is what others look at first, so it comes first. All of
	 * this is fully ordered: a page that is put back at this very moment
	 * either sees the mark, or its cleared bit is seen below or by
	 * freemap_get().
	 */
	smp_mb__after_atomic();
	if (test_and_set_bit(bit, map->bad)) {
		atomic_long_dec(&map->nr_marked);
		return FREEMAP_WAS_BAD;
	}

	if (atomic_dec_if_positive(&section->free) < 0)
		return FREEMAP_WAS_USED;
	if (test_and_set_bit_lock(bit, map->taken)) {
		atomic_inc(&section->free);	/* in use: retired later */
		return FREEMAP_WAS_USED;
	}
	atomic_long_inc(&map->nr_retired);
	return FREEMAP_WAS_FREE;
}

/**
 * freemap_nr_free() - how many pages are free
 * @map: the map
 *
 * Return: the number; exact when nobody takes or gives back pages meanwhile.
 */
unsigned long freemap_nr_free(const struct freemap *map)
{
	unsigned long sum = 0;
	unsigned int i;

	for (i = 0; i < map->nr_sections; i++)
		sum += max(atomic_read(&map->sections[i].free), 0);
	return sum;
}
