/* SPDX-License-Identifier: GPL-2.0-only */
/* Host stand-in: min, max and clamp. */
#ifndef _UNIT_SHIM_MINMAX_H
#define _UNIT_SHIM_MINMAX_H

#define __pick(a, op, b) __extension__({	\
	__auto_type __a = (a);			\
	__auto_type __b = (b);			\
	__a op __b ? __a : __b;			\
})
#define min(a, b)			__pick(a, <, b)
#define max(a, b)			__pick(a, >, b)
#define min_t(type, a, b)		min((type)(a), (type)(b))
#define max_t(type, a, b)		max((type)(a), (type)(b))
#define clamp_t(type, val, lo, hi)	min_t(type, max_t(type, val, lo), hi)

#endif /* _UNIT_SHIM_MINMAX_H */
