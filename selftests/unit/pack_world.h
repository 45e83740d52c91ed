/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the tests of packing share: a pool, a slot table, and what should be in it.
 */
#ifndef _PACK_WORLD_H
#define _PACK_WORLD_H

#include <linux/types.h>

#include "pack.h"

#define POOL	2048UL
#define SLOTS	8192UL

/* A pool, a slot table and, of each slot, which version of its data it should have. */
struct world {
	struct pack pack;
	struct pack_page *pages;
	bool *taken;
	spinlock_t lock;	/* of the pool */
	unsigned long nr_taken;
	unsigned char buffer[PACK_OBJECT_MAX];
	u32 *version;
	unsigned int *bytes;
	unsigned long limit;
	unsigned long bad;
	unsigned long unreadable;
	u64 seed;
};

struct world *new_world(void);
void end_world(struct world *w);

/* Pages of the pool */
long take(struct pack *pack);
void put(struct pack *pack, unsigned long page);

/* From 20 bytes on, as many small as large ones */
unsigned int some_bytes(u64 *seed);
unsigned int compose(unsigned char *object, unsigned long slot, u32 version, unsigned int bytes);

/* The appender's part; the caller has the page of the slot's raw data, which goes or stays. */
bool append(struct world *w, unsigned long slot, unsigned long expected, u32 version,
	    unsigned int bytes, long page);

void fill_slot(struct world *w, unsigned long slot);
void empty_slot(struct world *w, unsigned long slot);

/* Returns whether the slot has a packed object; it must be the right one. */
bool check_slot(struct world *w, unsigned long slot);
/* Returns bytes of data. */
unsigned long check_all(struct world *w);

/* Bytes of all pages, those that are spare included; of all data */
unsigned long stored(const struct world *w);
unsigned long wanted(const struct world *w);

/* Cleans for as long as there is something to win; hardly anything may be left to. */
void clean_up(struct world *w);

/* Frees all slots; no page may be left. */
void all_back(struct world *w);

#endif /* _PACK_WORLD_H */
