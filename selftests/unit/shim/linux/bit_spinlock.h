/* SPDX-License-Identifier: GPL-2.0-only */
/* Host stand-in: a lock in a bit. */
#ifndef _UNIT_SHIM_BIT_SPINLOCK_H
#define _UNIT_SHIM_BIT_SPINLOCK_H

#include <linux/bitops.h>

static inline void bit_spin_lock(int nr, unsigned long *addr)
{
	while (test_and_set_bit_lock(nr, addr))
		do
			cpu_relax();
		while (test_bit(nr, addr));
}

static inline void bit_spin_unlock(int nr, unsigned long *addr)
{
	clear_bit_unlock(nr, addr);
}

#endif /* _UNIT_SHIM_BIT_SPINLOCK_H */
