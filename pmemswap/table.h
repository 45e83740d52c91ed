/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A piece of a page table: what is looked at together.
 */
#ifndef _PMEMSWAP_TABLE_H
#define _PMEMSWAP_TABLE_H

#include <linux/align.h>
#include <linux/minmax.h>
#include <linux/mm.h>

/**
 * struct ps_table - neighbouring page table entries
 * @first: address of the first
 * @pte: the first
 * @nr: how many
 */
struct ps_table {
	unsigned long first;
	pte_t *pte;
	unsigned int nr;
};

/**
 * ps_table_around() - the entries around one, within VMA and page table
 * @table: is set
 * @vma: the VMA
 * @address: of the one
 * @pte: the one, mapped
 * @pages: size of the aligned block that they are to be in, a power of 2
 *
 * Context: any.
 */
static inline void ps_table_around(struct ps_table *table,
				   const struct vm_area_struct *vma,
				   unsigned long address, pte_t *pte,
				   unsigned int pages)
{
	unsigned long bytes = (unsigned long)pages << PAGE_SHIFT;
	unsigned long first = ALIGN_DOWN(address, bytes);
	unsigned long end = first + bytes;

	first = max3(first, vma->vm_start, address & PMD_MASK);
	end = min3(end, vma->vm_end, (address & PMD_MASK) + PMD_SIZE);
	table->first = first;
	table->nr = (end - first) >> PAGE_SHIFT;
	table->pte = pte - ((address - first) >> PAGE_SHIFT);
}

#endif /* _PMEMSWAP_TABLE_H */
