/* SPDX-License-Identifier: GPL-2.0-only */
/* Host stand-in: atomic counters, ordered like those of the kernel and no more. */
#ifndef _UNIT_SHIM_ATOMIC_H
#define _UNIT_SHIM_ATOMIC_H

#include <linux/types.h>
#include <shim.h>

typedef struct { int counter; } atomic_t;
#define atomic_long_t struct shim_atomic_long
struct shim_atomic_long { long counter; };

/* ThreadSanitizer doesn't model fences (and gcc says so); they take effect all the same. */
static inline void shim_fence(void)
{
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wtsan"
#endif
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic pop
#endif
}

#define wmb()			shim_fence()
#define smp_mb__before_atomic()	shim_fence()	/* those that order nothing */
#define smp_mb__after_atomic()	shim_fence()	/* by themselves */

/* Counters whose new value isn't looked at order nothing. */
static inline int atomic_read(const atomic_t *v)
{
	return __atomic_load_n(&v->counter, __ATOMIC_RELAXED);
}

static inline void atomic_set(atomic_t *v, int i)
{
	__atomic_store_n(&v->counter, i, __ATOMIC_RELAXED);
}

static inline void atomic_inc(atomic_t *v)
{
	shim_perturb();
	__atomic_fetch_add(&v->counter, 1, __ATOMIC_RELAXED);
}

#define smp_store_release(ptr, v)	__atomic_store_n(ptr, v, __ATOMIC_RELEASE)

/* Fully ordered when it succeeds; else the value met is stored in @old. */
#define try_cmpxchg(ptr, old, new) __extension__({			\
	shim_perturb();							\
	__atomic_compare_exchange_n(ptr, old, new, false,		\
				    __ATOMIC_SEQ_CST, __ATOMIC_RELAXED); \
})

static inline bool atomic_try_cmpxchg(atomic_t *v, int *old, int new)
{
	return try_cmpxchg(&v->counter, old, new);
}

static inline long atomic_long_read(const atomic_long_t *v)
{
	return __atomic_load_n(&v->counter, __ATOMIC_RELAXED);
}

static inline void atomic_long_set(atomic_long_t *v, long i)
{
	__atomic_store_n(&v->counter, i, __ATOMIC_RELAXED);
}

static inline void atomic_long_inc(atomic_long_t *v)
{
	shim_perturb();
	__atomic_fetch_add(&v->counter, 1, __ATOMIC_RELAXED);
}

static inline void atomic_long_dec(atomic_long_t *v)
{
	shim_perturb();
	__atomic_fetch_sub(&v->counter, 1, __ATOMIC_RELAXED);
}

static inline void atomic_long_add(long i, atomic_long_t *v)
{
	shim_perturb();
	__atomic_fetch_add(&v->counter, i, __ATOMIC_RELAXED);
}

static inline void atomic_long_sub(long i, atomic_long_t *v)
{
	atomic_long_add(-i, v);
}

/* Fully ordered */
static inline long atomic_long_sub_return(long i, atomic_long_t *v)
{
	shim_perturb();
	return __atomic_sub_fetch(&v->counter, i, __ATOMIC_SEQ_CST);
}

static inline bool atomic_long_dec_and_test(atomic_long_t *v)
{
	return !atomic_long_sub_return(1, v);
}

static inline bool atomic_long_try_cmpxchg(atomic_long_t *v, long *old, long new)
{
	return try_cmpxchg(&v->counter, old, new);
}

/* As the kernel's: the result is negative when nothing was taken. */
static inline int atomic_dec_if_positive(atomic_t *v)
{
	int old = atomic_read(v);

	do {
		if (old - 1 < 0)
			break;
	} while (!atomic_try_cmpxchg(v, &old, old - 1));
	return old - 1;
}

#endif /* _UNIT_SHIM_ATOMIC_H */
