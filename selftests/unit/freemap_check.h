/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What holds for any free map while nobody is at it.
 */
#ifndef _UNIT_FREEMAP_CHECK_H
#define _UNIT_FREEMAP_CHECK_H

#include <linux/bitops.h>

#include "freemap.h"
#include "unit.h"

static inline unsigned long count_bits(const unsigned long *words, unsigned long from,
				       unsigned long to)
{
	unsigned long n = 0;

	while (from < to) {
		if (from % BITS_PER_LONG || to - from < BITS_PER_LONG) {
			n += test_bit(from++, words);
		} else {
			n += __builtin_popcountl(words[BIT_WORD(from)]);
			from += BITS_PER_LONG;
		}
	}
	return n;
}

/* Each page is in use, retired or free, and each section knows how many are free. */
static inline void check_at_rest(const struct freemap *map, unsigned long in_use)
{
	unsigned long bits = map->nr_bits, padded = BITS_TO_LONGS(bits) * BITS_PER_LONG;
	unsigned long retired = atomic_long_read(&map->nr_retired);
	unsigned long begin, end;
	unsigned int i;

	expect_eq(freemap_nr_free(map) + retired + in_use, bits);
	expect_eq(count_bits(map->taken, 0, bits), in_use + retired);
	expect_eq(count_bits(map->bad, 0, bits), atomic_long_read(&map->nr_marked));
	expect(retired <= (unsigned long)atomic_long_read(&map->nr_marked));
	/* Behind the last page nothing is free. */
	expect_eq(count_bits(map->taken, bits, padded), padded - bits);
	expect_eq(count_bits(map->bad, bits, padded), 0);
	for (i = 0; i < map->nr_sections; i++) {
		begin = (unsigned long)i << map->shift;
		end = begin + (1UL << map->shift);
		if (end > bits)
			end = bits;
		if (!expect_eq(atomic_read(&map->sections[i].free),
			       end - begin - count_bits(map->taken, begin, end)))
			return;
	}
}

#endif /* _UNIT_FREEMAP_CHECK_H */
