/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Packing: the state of a packed page, between the files that pack.
 */
#ifndef _PMEMSWAP_PACK_PAGE_H
#define _PMEMSWAP_PACK_PAGE_H

#include "pack.h"

/**
 * DOC: the state of a packed page
 *
 * One word:
 *
 *	bits 0-15	live granules; and STATE_OPEN while it is filled, STATE_PIN while it is
 *			emptied
 *	bits 16-26	where the first object begins in it, in granules
 *	bits 27-63	the page that its last object goes on in, plus 1; or 0
 */
#define STATE_LIVE_MASK		0xffffL
#define STATE_OPEN		0x4000L
#define STATE_PIN		0x8000L
#define STATE_FIRST_SHIFT	16
#define STATE_FIRST_MASK	0x7ffUL
#define STATE_NEXT_SHIFT	27

/* pack.c */
bool pack_page_hold(struct pack *pack, unsigned long page, long as);
bool pack_page_drop(struct pack *pack, unsigned long page, long granules);
void pack_wipe(struct pack *pack, unsigned long page, unsigned int at,
	       unsigned int len);

/* Granules that are still to be filled. */
static inline unsigned int pack_room(const struct pack *pack)
{
	return pack->tail == PACK_NONE ? 0 : PACK_GRANULES - pack->at;
}

/* The page that the last object of a page goes on in, or PACK_NONE. */
static inline unsigned long pack_page_next(const struct pack *pack,
					   unsigned long page)
{
	unsigned long state = atomic_long_read(&pack_page(pack, page)->state);

	return (state >> STATE_NEXT_SHIFT) - 1;
}

/* The appender may go on with this page; false when it has enough, or it is bad. */
static inline bool pack_spare_add(struct pack *pack, unsigned long page)
{
	if (pack->nr_spare == PACK_SPARES || !pack->good(pack, page))
		return false;
	pack_wipe(pack, page, 0, PACK_GRANULES);
	pack->spare[pack->nr_spare] = page;
	WRITE_ONCE(pack->nr_spare, pack->nr_spare + 1);
	return true;
}

#endif /* _PMEMSWAP_PACK_PAGE_H */
