/* SPDX-License-Identifier: GPL-2.0-only */
/* Host stand-in: spin locks. */
#ifndef _UNIT_SHIM_SPINLOCK_H
#define _UNIT_SHIM_SPINLOCK_H

#include <linux/bit_spinlock.h>

#define spinlock_t struct shim_spinlock
struct shim_spinlock { unsigned long bit; };

static inline void spin_lock_init(spinlock_t *lock)
{
	lock->bit = 0;
}

static inline void spin_lock(spinlock_t *lock)
{
	bit_spin_lock(0, &lock->bit);
}

static inline void spin_unlock(spinlock_t *lock)
{
	bit_spin_unlock(0, &lock->bit);
}

#define raw_spinlock_t		spinlock_t
#define raw_spin_lock_init	spin_lock_init
#define raw_spin_lock		spin_lock
#define raw_spin_unlock		spin_unlock

#endif /* _UNIT_SHIM_SPINLOCK_H */
