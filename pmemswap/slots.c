// SPDX-License-Identifier: GPL-2.0-only
/*
 * Which pages need no page: those that repeat one 32-bit value.
 */

#include <linux/mm.h>

#include "slots.h"

/**
 * slot_same_filled() - does a page repeat one 32-bit value?
 * @page: PAGE_SIZE bytes, aligned to 8
 * @value: where the value is stored when it does
 *
 * A page that has different words nearly always differs in the first few or in
 * the last one, so this is cheap for the others.
 *
 * Context: any.
 * Return: true when it does.
 */
bool slot_same_filled(const void *page, u32 *value)
{
	const u64 *p = page;
	const unsigned int last = PAGE_SIZE / sizeof(*p) - 1;
	/* Whose page it is may write to it meanwhile: then it will be written out again. */
	u64 first = READ_ONCE(p[0]);
	unsigned int i;

	if (first != READ_ONCE(p[last]) || (u32)first != first >> 32)
		return false;
	for (i = 1; i < last; i++)
		if (READ_ONCE(p[i]) != first)
			return false;
	*value = first;
	return true;
}
