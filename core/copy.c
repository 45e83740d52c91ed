// SPDX-License-Identifier: GPL-2.0-only
/*
 * Copying a page into pmem, past the CPU's caches.
 */

#include <linux/module.h>
#include <linux/string.h>
#include <pmem_tier/tier.h>

#ifdef CONFIG_X86_64
/*
 * memcpy_flushcache() for exactly one page: eight stores in a row fill each
 * write-combining buffer, with half the loop of the general function.
 */
static void copy_page_nt(void *dst, const void *src)
{
	unsigned int i;

	for (i = 0; i < PAGE_SIZE / 64; i++, dst += 64, src += 64)
		asm volatile("movq	  (%1), %%r8\n\t"
			     "movq	 8(%1), %%r9\n\t"
			     "movq	16(%1), %%r10\n\t"
			     "movq	24(%1), %%r11\n\t"
			     "movnti	%%r8,	 (%0)\n\t"
			     "movnti	%%r9,	8(%0)\n\t"
			     "movnti	%%r10, 16(%0)\n\t"
			     "movnti	%%r11, 24(%0)\n\t"
			     "movq	32(%1), %%r8\n\t"
			     "movq	40(%1), %%r9\n\t"
			     "movq	48(%1), %%r10\n\t"
			     "movq	56(%1), %%r11\n\t"
			     "movnti	%%r8,  32(%0)\n\t"
			     "movnti	%%r9,  40(%0)\n\t"
			     "movnti	%%r10, 48(%0)\n\t"
			     "movnti	%%r11, 56(%0)"
			     : : "r" (dst), "r" (src)
			     : "memory", "r8", "r9", "r10", "r11");
}
#else
static void copy_page_nt(void *dst, const void *src)
{
	memcpy_flushcache(dst, src, PAGE_SIZE);
}
#endif

/**
 * pmem_tier_copy_in() - copy data into a page of the pool
 * @tier: the tier
 * @index: index of the page; the caller owns it
 * @src: where the PAGE_SIZE bytes come from
 *
 * Uses non-temporal stores: the data is cold by definition, and must not push
 * hot data out of the CPU's caches. Such stores are weakly ordered, so the
 * caller must pass a wmb() before anybody else can find the page.
 *
 * Context: any.
 */
void pmem_tier_copy_in(const struct pmem_tier *tier, unsigned long index,
		       const void *src)
{
	copy_page_nt(pmem_tier_index_addr(tier, index), src);
}
EXPORT_SYMBOL_GPL(pmem_tier_copy_in);
