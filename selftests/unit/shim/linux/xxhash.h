/* SPDX-License-Identifier: GPL-2.0-only */
/* Host stand-in: some hash of 64 bits. */
#ifndef _UNIT_SHIM_XXHASH_H
#define _UNIT_SHIM_XXHASH_H

#include <linux/types.h>

static inline u64 xxh64(const void *data, size_t bytes, u64 seed)
{
	const u8 *p = data;
	u64 sum = seed ^ 0xcbf29ce484222325ULL;

	while (bytes--)
		sum = (sum ^ *p++) * 0x100000001b3ULL;
	return sum ^ sum >> 32;
}

#endif /* _UNIT_SHIM_XXHASH_H */
