/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What tests can do to the kernel of the stand-ins: count memory, fail an allocation, stir threads.
 */
#ifndef _UNIT_SHIM_H
#define _UNIT_SHIM_H

#include <sched.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Which allocator memory is from, so that it goes back to the same. */
enum {
	SHIM_KMALLOC = 1,
	SHIM_VMALLOC = 2,
};

void *shim_zalloc(int from, size_t bytes);
void shim_free(int from, const void *p);

/* Let the allocation after the next @n fail; -1 for none. It works once. */
void shim_fail_alloc(int n);

/* Memory not freed yet: how many pieces, and bytes as the kernel would round them. */
unsigned int shim_live_pieces(void);
size_t shim_live_bytes(void);

/*
 * Every modification of shared memory in the stand-ins begins with this: threads
 * that set their seed give way there now and then, so that two CPUs are enough
 * to meet in places where it would otherwise take luck.
 */
extern __thread uint32_t shim_perturb_seed;

/* Called there as well, when set: an interrupt, as it were. None while it runs. */
extern __thread void (*shim_interrupt)(void);

static inline void shim_perturb(void)
{
	void (*interrupt)(void) = shim_interrupt;
	uint32_t x = shim_perturb_seed;

	if (interrupt) {
		shim_interrupt = NULL;
		interrupt();
		shim_interrupt = interrupt;
	}
	if (!x)
		return;
	x ^= x << 13;
	x ^= x >> 17;
	x ^= x << 5;
	shim_perturb_seed = x;
	if (x % 128 == 0)
		sched_yield();
}

#endif /* _UNIT_SHIM_H */
