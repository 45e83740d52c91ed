/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Reading what is in pmem: an error of the media is an error, and nothing to die of.
 */
#ifndef _PMEM_TIER_MEDIA_H
#define _PMEM_TIER_MEDIA_H

#include <linux/highmem.h>
#include <linux/mm.h>
#include <linux/uaccess.h>

#ifdef CONFIG_FAULT_INJECTION_DEBUG_FS
bool pmem_tier_fail_media(size_t bytes);
#else
static inline bool pmem_tier_fail_media(size_t bytes)
{
	return false;
}
#endif

/**
 * pmem_tier_copy_mc() - copy out of pmem
 * @dst: where to, in DRAM
 * @src: where from
 * @bytes: how many
 *
 * Context: any.
 * Return: 0, or -EIO when the media reported an error (a machine check that the
 * copy survived). Who called is to mark the page.
 */
static inline int pmem_tier_copy_mc(void *dst, const void *src, size_t bytes)
{
	if (unlikely(pmem_tier_fail_media(bytes)))
		return -EIO;
	return likely(!copy_mc_to_kernel(dst, src, bytes)) ? 0 : -EIO;
}

/**
 * pmem_tier_copy_mc_page() - copy a page that is lent, or in the page cache
 * @dst: a page of DRAM
 * @src: the page
 *
 * Context: any. An error is mm's to handle, soon.
 * Return: 0, or -EIO.
 */
static inline int pmem_tier_copy_mc_page(struct page *dst, struct page *src)
{
	if (unlikely(pmem_tier_fail_media(PAGE_SIZE))) {
		memory_failure_queue(page_to_pfn(src), 0);
		return -EIO;
	}
	return copy_mc_highpage(dst, src) ? -EIO : 0;
}

#endif /* _PMEM_TIER_MEDIA_H */
