/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Memory of what was evicted: has this been evicted before, not long ago?
 */
#ifndef _PMEM_CACHEX_GHOST_H
#define _PMEM_CACHEX_GHOST_H

#include <linux/compiler.h>
#include <linux/types.h>

/* Entries in a bucket, which is a 64-bit word. */
#define GHOST_WAYS	4

/**
 * struct ghost - a table of hashes of what was evicted
 * @buckets: each with GHOST_WAYS entries: a tag in the low byte, never 0, the time in the high
 *	one. An entry of 0 is empty.
 * @shift: 64 less log2 of the number of buckets
 * @tick: evictions in a unit of time
 * @clock: evictions so far, roughly
 * @swept: when ghost_sweep() began last, in units
 */
struct ghost {
	u64 *buckets;
	unsigned int shift;
	unsigned long tick;
	unsigned long clock;
	u8 swept;
};

int ghost_init(struct ghost *ghost, unsigned long pages, unsigned long max_bytes,
	       int nid);
void ghost_destroy(struct ghost *ghost);
unsigned long ghost_bytes(const struct ghost *ghost);
bool ghost_seen(struct ghost *ghost, u64 key);
void ghost_sweep(struct ghost *ghost, void (*pause)(void));

/* Time between two sweeps. */
#define GHOST_SWEEP	32	/* units */

/**
 * ghost_due() - is it time for ghost_sweep()?
 * @ghost: the ghost
 *
 * Context: any.
 * Return: true if so.
 */
static inline bool ghost_due(const struct ghost *ghost)
{
	u8 now = READ_ONCE(ghost->clock) / ghost->tick;

	return (u8)(now - READ_ONCE(ghost->swept)) >= GHOST_SWEEP;
}

#endif /* _PMEM_CACHEX_GHOST_H */
