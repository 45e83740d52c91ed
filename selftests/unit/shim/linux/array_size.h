/* SPDX-License-Identifier: GPL-2.0-only */
/* Host stand-in: ARRAY_SIZE. */
#ifndef _UNIT_SHIM_ARRAY_SIZE_H
#define _UNIT_SHIM_ARRAY_SIZE_H

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))

#endif /* _UNIT_SHIM_ARRAY_SIZE_H */
