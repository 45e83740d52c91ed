/* SPDX-License-Identifier: GPL-2.0-only */
/* Host stand-in: bits in arrays of words, ordered like those of the kernel and no more. */
#ifndef _UNIT_SHIM_BITOPS_H
#define _UNIT_SHIM_BITOPS_H

#include <linux/math.h>
#include <linux/types.h>
#include <shim.h>

#define BITS_PER_LONG		(8 * sizeof(long))
#define BIT(nr)			(1UL << (nr))
#define BIT_MASK(nr)		BIT((nr) % BITS_PER_LONG)
#define BIT_WORD(nr)		((nr) / BITS_PER_LONG)
#define BITS_TO_LONGS(nr)	DIV_ROUND_UP(nr, BITS_PER_LONG)

/* The first bit that is 0; there must be one. */
static inline unsigned long ffz(unsigned long word)
{
	return __builtin_ctzl(~word);
}

static inline bool test_bit(unsigned long nr, const unsigned long *addr)
{
	return __atomic_load_n(addr + BIT_WORD(nr), __ATOMIC_RELAXED) & BIT_MASK(nr);
}

static inline bool test_and_set_bit(unsigned long nr, unsigned long *addr)
{
	shim_perturb();
	return __atomic_fetch_or(addr + BIT_WORD(nr), BIT_MASK(nr), __ATOMIC_SEQ_CST) &
	       BIT_MASK(nr);
}

static inline bool test_and_set_bit_lock(unsigned long nr, unsigned long *addr)
{
	shim_perturb();
	return test_bit(nr, addr) ||
	       (__atomic_fetch_or(addr + BIT_WORD(nr), BIT_MASK(nr), __ATOMIC_ACQUIRE) &
		BIT_MASK(nr));
}

static inline void set_bit(unsigned long nr, unsigned long *addr)
{
	shim_perturb();
	__atomic_fetch_or(addr + BIT_WORD(nr), BIT_MASK(nr), __ATOMIC_RELAXED);
}

static inline void clear_bit(unsigned long nr, unsigned long *addr)
{
	shim_perturb();
	__atomic_fetch_and(addr + BIT_WORD(nr), ~BIT_MASK(nr), __ATOMIC_RELAXED);
}

static inline void clear_bit_unlock(unsigned long nr, unsigned long *addr)
{
	shim_perturb();
	__atomic_fetch_and(addr + BIT_WORD(nr), ~BIT_MASK(nr), __ATOMIC_RELEASE);
}

/* Returns @size when there is none. Bits are inverted first where @invert has ones. */
static inline unsigned long shim_find_bit(const unsigned long *addr, unsigned long size,
					  unsigned long nr, unsigned long invert)
{
	while (nr < size) {
		unsigned long word = __atomic_load_n(addr + BIT_WORD(nr), __ATOMIC_RELAXED);

		word ^= invert;
		word &= ~0UL << nr % BITS_PER_LONG;
		if (word) {
			nr += __builtin_ctzl(word) - nr % BITS_PER_LONG;
			return nr < size ? nr : size;
		}
		nr += BITS_PER_LONG - nr % BITS_PER_LONG;
	}
	return size;
}

static inline unsigned long find_next_zero_bit(const unsigned long *addr, unsigned long size,
					       unsigned long nr)
{
	return shim_find_bit(addr, size, nr, ~0UL);
}

static inline unsigned long find_next_bit(const unsigned long *addr, unsigned long size,
					  unsigned long nr)
{
	return shim_find_bit(addr, size, nr, 0);
}

#endif /* _UNIT_SHIM_BITOPS_H */
