/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What is already on a namespace? Signatures of other software.
 */
#ifndef _PMEM_TIER_SIGNATURE_H
#define _PMEM_TIER_SIGNATURE_H

#include <linux/types.h>

/* Bytes at either end of the namespace that the table looks into. */
#define SIGNATURE_WINDOW	(256UL << 10)

const char *signature_find(const u8 *head, const u8 *tail, long *offset);

#endif /* _PMEM_TIER_SIGNATURE_H */
