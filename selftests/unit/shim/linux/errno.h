/* SPDX-License-Identifier: GPL-2.0-only */
/* Host stand-in: error numbers. */
#ifndef _UNIT_SHIM_ERRNO_H
#define _UNIT_SHIM_ERRNO_H

#include_next <linux/errno.h>

#endif /* _UNIT_SHIM_ERRNO_H */
