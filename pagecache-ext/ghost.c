// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memory of what was evicted: has this been evicted before, not long ago?
 */

/**
 * DOC: the ghost
 *
 * A page that is evicted, comes back and is evicted again is one that a larger cache would
 * have kept. So the second eviction is the evidence on which a page is admitted; a scan
 * that reads everything once leaves nothing.
 *
 * It takes remembering what was evicted for about as many evictions as there are pages in
 * memory and pools together: what comes back later than that wouldn't have
 * stayed anyway. Of each page 16 bits of a hash are kept: which bucket it is in and a tag of
 * 8 bits say who, 8 bits say when. A wrong answer only costs time, so there are no
 * locks: an update may get lost, and strangers may look alike once in 64 times.
 *
 * Time goes round after 256 units; the horizon is half of that. What is older would
 * look new again then, so it is swept out before: from time to time, as going through
 * the table isn't for those who evict.
 */

#include <linux/compiler.h>
#include <linux/errno.h>
#include <linux/log2.h>
#include <linux/minmax.h>
#include <linux/types.h>
#include <linux/vmalloc.h>

#include "ghost.h"

#define HORIZON		128	/* units of time */
#define WAY_BITS	16

/* An update that gets lost can turn the clock back by some units: the future is now. */
#define FUTURE		(256 - 32)

/**
 * ghost_init() - make a ghost that remembers nothing yet
 * @ghost: the ghost
 * @pages: how many evictions it should remember, at least 1
 * @max_bytes: memory that it may take
 * @nid: NUMA node of the memory
 *
 * Context: process context, may sleep.
 * Return: 0 or -ENOMEM.
 */
int ghost_init(struct ghost *ghost, unsigned long pages, unsigned long max_bytes,
	       int nid)
{
	/* Twice the room: buckets don't fill evenly. */
	unsigned long want = max(2 * pages / GHOST_WAYS, 64UL);
	unsigned long most = max(max_bytes / sizeof(u64), 64UL);
	unsigned int bits = ilog2(min(2 * want - 1, most));

	ghost->shift = 64 - bits;
	ghost->tick = max(pages / HORIZON, 1UL);
	/* An entry of time 0 and tag 0 would be an empty one, but no tag is 0. */
	ghost->clock = 0;
	ghost->swept = 0;
	ghost->buckets = vzalloc_node(sizeof(u64) << bits, nid);
	return ghost->buckets ? 0 : -ENOMEM;
}

/**
 * ghost_destroy() - free a ghost's memory
 * @ghost: the ghost; nobody may use it any more
 *
 * Context: process context, may sleep.
 */
void ghost_destroy(struct ghost *ghost)
{
	vfree(ghost->buckets);
	ghost->buckets = NULL;
}

/**
 * ghost_bytes() - memory that a ghost takes
 * @ghost: the ghost
 *
 * Return: bytes.
 */
unsigned long ghost_bytes(const struct ghost *ghost)
{
	return sizeof(u64) << (64 - ghost->shift);
}

/**
 * ghost_seen() - something is evicted: was it before?
 * @ghost: the ghost
 * @key: names it, whatever its bits look like
 *
 * If so, it is forgotten: it takes two more evictions to be seen again. Else it is
 * remembered.
 *
 * Context: any.
 * Return: true if it was, within the last @pages evictions of ghost_init().
 */
bool ghost_seen(struct ghost *ghost, u64 key)
{
	u64 hash = (key ^ key >> 32) * 0x9e3779b97f4a7c15ULL;
	u8 now = READ_ONCE(ghost->clock) / ghost->tick;
	unsigned int way, oldest = 0;
	int age, max_age = -1;
	u64 *bucket, word;
	u8 tag;

	hash ^= hash >> 29;
	hash *= 0xbf58476d1ce4e5b9ULL;
	bucket = &ghost->buckets[hash >> ghost->shift];
	tag = (hash & 0xff) ?: 1;
	word = READ_ONCE(*bucket);
	for (way = 0; way < GHOST_WAYS; way++) {
		u16 entry = word >> way * WAY_BITS;

		age = entry ? (u8)(now - (entry >> 8)) : 256;
		if (age >= FUTURE && age < 256)
			age = 0;
		if ((u8)entry == tag && age <= HORIZON) {
			word &= ~(0xffffULL << way * WAY_BITS);
			WRITE_ONCE(*bucket, word);
			return true;
		}
		if (age > max_age) {
			max_age = age;
			oldest = way;
		}
	}
	word &= ~(0xffffULL << oldest * WAY_BITS);
	word |= (u64)(now << 8 | tag) << oldest * WAY_BITS;
	WRITE_ONCE(*bucket, word);
	WRITE_ONCE(ghost->clock, READ_ONCE(ghost->clock) + 1);
	return false;
}

/**
 * ghost_sweep() - clear what is older than the horizon
 * @ghost: the ghost
 * @pause: called now and then
 *
 * Due each GHOST_SWEEP units of time, see ghost_due(). It may be late by half a horizon.
 *
 * Context: process context, while others may use the ghost; one at a time.
 */
void ghost_sweep(struct ghost *ghost, void (*pause)(void))
{
	unsigned long i, nr = 1UL << (64 - ghost->shift);
	u8 now = READ_ONCE(ghost->clock) / ghost->tick;
	u64 word, old;
	int way, age;

	WRITE_ONCE(ghost->swept, now);
	for (i = 0; i < nr; i++) {
		old = READ_ONCE(ghost->buckets[i]);
		word = old;
		now = READ_ONCE(ghost->clock) / ghost->tick;
		for (way = 0; way < GHOST_WAYS; way++) {
			age = (u8)(now - (u8)(word >> (way * WAY_BITS + 8)));
			if (age > HORIZON && age < FUTURE)
				word &= ~(0xffffULL << way * WAY_BITS);
		}
		/* Whoever has just added something would lose it, which is rare, and no harm. */
		if (word != old)
			WRITE_ONCE(ghost->buckets[i], word);
		if (i % 1024 == 1023)
			pause();
	}
}
