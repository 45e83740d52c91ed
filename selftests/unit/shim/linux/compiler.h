/* SPDX-License-Identifier: GPL-2.0-only */
/* Host stand-in: accesses that happen once, and hints. */
#ifndef _UNIT_SHIM_COMPILER_H
#define _UNIT_SHIM_COMPILER_H

#include <sched.h>

#define READ_ONCE(x)		__atomic_load_n(&(x), __ATOMIC_RELAXED)
#define WRITE_ONCE(x, val)	__atomic_store_n(&(x), val, __ATOMIC_RELAXED)

/* Nothing here tells races that are meant from others. */
#define data_race(x)		(x)

#define likely(x)		__builtin_expect(!!(x), 1)
#define unlikely(x)		__builtin_expect(!!(x), 0)

#define __packed		__attribute__((packed))

#define ____cacheline_aligned_in_smp	__attribute__((aligned(64)))

/* Threads can outnumber the CPUs here: let the one waited for run. */
static inline void cpu_relax(void)
{
	sched_yield();
}

#endif /* _UNIT_SHIM_COMPILER_H */
