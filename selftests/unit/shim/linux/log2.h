/* SPDX-License-Identifier: GPL-2.0-only */
/* Host stand-in: ilog2. */
#ifndef _UNIT_SHIM_LOG2_H
#define _UNIT_SHIM_LOG2_H

static inline int ilog2(unsigned long n)
{
	return (int)(8 * sizeof(n)) - 1 - __builtin_clzl(n);
}

#endif /* _UNIT_SHIM_LOG2_H */
