/* SPDX-License-Identifier: GPL-2.0-only */
/* Host stand-in: rounding. */
#ifndef _UNIT_SHIM_MATH_H
#define _UNIT_SHIM_MATH_H

#define DIV_ROUND_UP(n, d) __extension__({	\
	__auto_type __d = (d);			\
	((n) + __d - 1) / __d;			\
})

#endif /* _UNIT_SHIM_MATH_H */
