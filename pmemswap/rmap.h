/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Where a lent page is mapped.
 */
#ifndef _PMEMSWAP_RMAP_H
#define _PMEMSWAP_RMAP_H

#include <linux/rmap.h>

/**
 * enum ps_rmap_next - how a walk over the places where a page is mapped goes on
 * @PS_RMAP_ON: to the next place
 * @PS_RMAP_STOP: not at all
 * @PS_RMAP_GONE: not at all; the page was unlent, with the walk's reference and lock
 */
enum ps_rmap_next {
	PS_RMAP_ON,
	PS_RMAP_STOP,
	PS_RMAP_GONE,
};

typedef enum ps_rmap_next (*ps_rmap_fn)(struct page_vma_mapped_walk *mapped,
					void *arg);

/*
 * Is it a page of a process? PageAnon() for those who have no reference: the answer may be
 * out of date at once, and ps_rmap() and isolate() look again.
 */
static inline bool ps_maybe_anon(const struct page *page)
{
	return (unsigned long)READ_ONCE(page->mapping) & PAGE_MAPPING_ANON;
}

void ps_rmap(struct page *page, ps_rmap_fn fn, void *arg);
bool ps_rmap_locked(struct folio *folio, ps_rmap_fn fn, void *arg);
bool ps_rmap_enable(void);
void ps_rmap_init(void);
void ps_rmap_exit(void);

#endif /* _PMEMSWAP_RMAP_H */
