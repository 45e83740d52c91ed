/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Which pages of a pool are free: a bitmap in sections, without locks.
 */
#ifndef _PMEM_TIER_FREEMAP_H
#define _PMEM_TIER_FREEMAP_H

#include <linux/atomic.h>
#include <linux/bitops.h>
#include <linux/errno.h>
#include <linux/types.h>

/**
 * struct freemap_section - the part of a free map that has its own count
 * @free: how many more bits of the section may be taken
 */
struct freemap_section {
	atomic_t free;
} ____cacheline_aligned_in_smp;

/**
 * struct freemap - free map of nr_bits pages
 * @taken: a bit for each page: set while it is in use or retired
 * @bad: a bit for each page: set when it must not be handed out
 * @sections: one entry for each 1 << @shift pages
 * @nr_bits: number of pages
 * @nr_sections: number of sections
 * @shift: log2 of the pages in a section
 * @nr_marked: bits set in @bad
 * @nr_retired: bad pages that are nobody's: set in @bad and @taken for good
 */
struct freemap {
	unsigned long *taken;
	unsigned long *bad;
	struct freemap_section *sections;
	unsigned long nr_bits;
	unsigned int nr_sections;
	unsigned int shift;
	atomic_long_t nr_marked;
	atomic_long_t nr_retired;
};

/**
 * enum freemap_mark - what a page was before it was marked bad
 * @FREEMAP_WAS_BAD: marked before
 * @FREEMAP_WAS_USED: somebody's: whoever has it may be using it
 * @FREEMAP_WAS_FREE: nobody's, and will be nobody's: it is retired
 */
enum freemap_mark {
	FREEMAP_WAS_BAD,
	FREEMAP_WAS_USED,
	FREEMAP_WAS_FREE,
};

int freemap_init(struct freemap *map, unsigned long nr_bits,
		 unsigned int nr_cpus, int nid);
void freemap_destroy(struct freemap *map);
unsigned long freemap_bytes(const struct freemap *map);
unsigned long freemap_start(const struct freemap *map, unsigned int cpu,
			    unsigned int nr_cpus);
long freemap_get_from(struct freemap *map, unsigned long *cursor,
		      unsigned long from, bool ticket);
enum freemap_mark freemap_mark_bad(struct freemap *map, unsigned long bit);
unsigned long freemap_nr_free(const struct freemap *map);

/**
 * freemap_is_bad() - is a page marked bad?
 * @map: the map
 * @bit: the page
 *
 * Return: true when freemap_mark_bad() was called for it.
 */
static inline bool freemap_is_bad(const struct freemap *map, unsigned long bit)
{
	return atomic_long_read(&map->nr_marked) && test_bit(bit, map->bad);
}

/* Where to go on behind a page. A CPU stays in its section. */
static inline unsigned long freemap_after(const struct freemap *map,
					  unsigned long bit)
{
	unsigned long next = bit + 1;

	if (unlikely(!(next & ((1UL << map->shift) - 1)) ||
		     next >= map->nr_bits))
		next = bit >> map->shift << map->shift;
	return next;
}

/**
 * freemap_get() - take a free page
 * @map: the map
 * @cursor: where this CPU goes on searching. A hint: races only cost time.
 * @reserve: pages that must stay free. 0 spares counting them; else the count is
 *	taken before, so CPUs that do the same at once may each go one below.
 *
 * Context: any, interrupts in any state. Doesn't sleep or take locks.
 * Return: the page's bit, or -ENOSPC when no page is free beyond the reserve.
 */
static __always_inline long freemap_get(struct freemap *map,
					unsigned long *cursor,
					unsigned long reserve)
{
	unsigned long from = READ_ONCE(*cursor), bit, word;

	if (unlikely(reserve) && freemap_nr_free(map) <= reserve)
		return -ENOSPC;
	if (unlikely(from >= map->nr_bits))
		from = 0;
	if (atomic_dec_if_positive(&map->sections[from >> map->shift].free) < 0)
		return freemap_get_from(map, cursor, from, false);
	/* Mostly one is free in the very word that the cursor points to. */
	word = READ_ONCE(map->taken[BIT_WORD(from)]) | (BIT_MASK(from) - 1);
	if (unlikely(!~word))
		return freemap_get_from(map, cursor, from, true);
	bit = (from & ~(BITS_PER_LONG - 1UL)) + ffz(word);
	/* Pairs with clear_bit_unlock() in freemap_put(). */
	if (unlikely(test_and_set_bit_lock(bit, map->taken)))
		return freemap_get_from(map, cursor, from, true);
	if (unlikely(freemap_is_bad(map, bit))) {
		/* Marked just now, and no longer counted as free by us: keep it. */
		atomic_long_inc(&map->nr_retired);
		return freemap_get_from(map, cursor, from, false);
	}
	WRITE_ONCE(*cursor, freemap_after(map, bit));
	return bit;
}

/**
 * freemap_put() - give a page back
 * @map: the map
 * @bit: a page that freemap_get() returned
 *
 * A page marked bad meanwhile is retired instead of becoming free.
 *
 * Context: any, interrupts in any state. Doesn't sleep or take locks.
 */
static inline void freemap_put(struct freemap *map, unsigned long bit)
{
	if (unlikely(freemap_is_bad(map, bit))) {
		atomic_long_inc(&map->nr_retired);
		return;
	}
	/*
	 * Pairs with test_and_set_bit_lock() in take_bit(): whatever was done
	 * with the page is done before its next owner finds it.
	 */
	clear_bit_unlock(bit, map->taken);
	/* Bit before ticket, see "the free map" in freemap.c. */
	smp_mb__before_atomic();
	atomic_inc(&map->sections[bit >> map->shift].free);
}

#endif /* _PMEM_TIER_FREEMAP_H */
