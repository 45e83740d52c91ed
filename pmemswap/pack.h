/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Packing: where compressed data lies in pmem pages, and how a slot's word says so.
 */
#ifndef _PMEMSWAP_PACK_H
#define _PMEMSWAP_PACK_H

#include <linux/atomic.h>
#include <linux/mm.h>
#include <linux/spinlock.h>
#include <linux/types.h>

#include "slots.h"

/* Objects begin at multiples of this many bytes, which is what all else counts in. */
#define PACK_GRANULE		4U
#define PACK_GRANULES		(PAGE_SIZE / PACK_GRANULE)

#define PACK_NONE		(~0UL)

/**
 * struct pack_header - what an object begins with
 * @sum: checksum of all that follows
 * @slot: whose it is
 * @bytes: of data that follow
 */
struct pack_header {
	u32 sum;
	u32 slot;
	u16 bytes;
} __packed;

/* More data than this isn't packed: too little would be won. */
#define PACK_DATA_MAX		(PAGE_SIZE / 8 * 7)
#define PACK_OBJECT_MAX		(sizeof(struct pack_header) + PACK_DATA_MAX + PACK_GRANULE)

/**
 * struct pack_page - what is known of a pmem page with objects; lies in its struct page
 * @head: the slot whose object began in another page and ends in this one, or PACK_NONE
 * @state: see pack.c
 */
struct pack_page {
	unsigned long head;
	atomic_long_t state;
};

/* So many pages are needed, at most, for what is in one page, in whole or in part. */
#define PACK_SPARES		3

/**
 * struct pack - the packed pages of a device
 * @addr: where page 0 of the pool is
 * @pages: where its struct pack_page is
 * @stride: bytes from there to the next page's
 * @nr_pool: pages of the pool
 * @wipe: what is freed is overwritten at once
 * @map: a bit for each of them: it is a packed one
 * @slots: the slot table
 * @nr_slots: its length
 * @lock: a page begins or ceases to be a packed one: @map, @head, @nr_pages, @open; and
 *	@spare while there is no appender. A leaf, raw because it is taken under a slot's
 *	lock; not taken in interrupts
 * @nr_pages: packed pages
 * @live: granules in use
 * @open: there is an appender
 * @tail: page that is being filled, or PACK_NONE; it and what follows are the
 *	appender's, of whom there is one at a time
 * @at: granules of it that are filled
 * @spare: pages to go on with; one is kept for as long as there are packed pages
 * @nr_spare: how many
 * @clean_at: page where looking for pages to empty goes on
 * @clean_below: pages with fewer live granules are emptied
 * @stuck: granules that were still wasted when all pages had been looked at. Until there
 *	is more it isn't tried again, or until the appender sets this to 0
 * @buffer: room for an object that moves
 * @read: copies bytes from a page; 0, or -EIO when the media failed
 * @good: may a page be written to?
 * @get: gives a page of the pool, or a negative error
 * @put: takes one back; any context but interrupts
 */
struct pack {
	void *addr;
	void *pages;
	size_t stride;
	unsigned long nr_pool;
	bool wipe;
	unsigned long *map;
	struct slot *slots;
	unsigned long nr_slots;
	raw_spinlock_t lock;	/* see above */
	atomic_long_t nr_pages;
	atomic_long_t live;
	bool open;
	unsigned long tail;
	unsigned int at;
	unsigned long spare[PACK_SPARES];
	unsigned int nr_spare;
	unsigned long clean_at;
	unsigned int clean_below;
	unsigned long stuck;
	void *buffer;
	int (*read)(const struct pack *pack, unsigned long page,
		    unsigned int offset, void *to, unsigned int bytes);
	bool (*good)(const struct pack *pack, unsigned long page);
	long (*get)(struct pack *pack);
	void (*put)(struct pack *pack, unsigned long page);
};

/**
 * struct pack_where - where an object is
 * @page: the page that it begins in
 * @at: where in it, in granules
 * @len: how long it is, in granules
 * @bytes: how long it is, in bytes, of which the last granule may have some too many
 */
struct pack_where {
	unsigned long page;
	unsigned int at;
	unsigned int len;
	unsigned int bytes;
};

#define PACK_AT_SHIFT		44
#define PACK_LEN_SHIFT		54
#define PACK_LEN_MASK		(PACK_GRANULES - 1)
#define PACK_UNUSED_SHIFT	5

/* The word of a packed slot. */
static inline unsigned long pack_word(const struct pack_where *w)
{
	unsigned long unused = w->len * PACK_GRANULE - w->bytes;

	return slot_word(SLOT_PACKED, w->page) | unused << PACK_UNUSED_SHIFT |
	       (unsigned long)w->at << PACK_AT_SHIFT |
	       (unsigned long)w->len << PACK_LEN_SHIFT;
}

static inline struct pack_where pack_where(unsigned long word)
{
	struct pack_where w = {
		.page = slot_page(word),
		.at = word >> PACK_AT_SHIFT & PACK_LEN_MASK,
		.len = word >> PACK_LEN_SHIFT & PACK_LEN_MASK,
	};

	w.bytes = w.len * PACK_GRANULE - (word >> PACK_UNUSED_SHIFT & 3);
	return w;
}

/* Bytes of compressed data that a packed slot has. */
static inline unsigned int pack_data_bytes(unsigned long word)
{
	return pack_where(word).bytes - sizeof(struct pack_header);
}

unsigned int pack_seal(void *object, unsigned long slot, unsigned int bytes);
bool pack_intact(const void *object, unsigned long slot, unsigned int bytes);

void pack_begin(struct pack *pack);
void pack_end(struct pack *pack);
bool pack_append(struct pack *pack, unsigned long slot, unsigned long expected,
		 const void *object, unsigned int bytes, unsigned long page,
		 bool *page_used);
void pack_free(struct pack *pack, unsigned long word);
unsigned long pack_next(const struct pack *pack, unsigned long word);
int pack_read(const struct pack *pack, unsigned long word, void *object);

unsigned long pack_waste(const struct pack *pack);

/* pack_clean.c */
bool pack_clean(struct pack *pack, unsigned int *moved);

/* Pages of the pool that it has. */
static inline unsigned long pack_nr_pages(const struct pack *pack)
{
	return atomic_long_read(&pack->nr_pages) + READ_ONCE(pack->nr_spare);
}

static inline struct pack_page *pack_page(const struct pack *pack,
					  unsigned long page)
{
	return pack->pages + page * pack->stride;
}

#endif /* _PMEMSWAP_PACK_H */
