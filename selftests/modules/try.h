/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What tramp.S and try.c have of each other.
 */
#ifndef _PMEM_TIER_TRY_H
#define _PMEM_TIER_TRY_H

#include <linux/linkage.h>

void try_tramp(void);
asmlinkage unsigned int try_handler(void);

#endif /* _PMEM_TIER_TRY_H */
