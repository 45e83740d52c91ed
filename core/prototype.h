/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Prototypes of a kernel's functions, as its BTF has them. Pure: see selftests/unit.
 */
#ifndef _PMEM_TIER_PROTOTYPE_H
#define _PMEM_TIER_PROTOTYPE_H

#include <linux/types.h>

/* A type is found by its number: where every so many-th of them is, is noted. */
#define PROTOTYPES_STEP		1024
#define PROTOTYPES_STEPS	1024

/**
 * struct prototypes - BTF in memory that has been looked through
 * @types: the types, one after the other
 * @types_len: bytes of them
 * @strings: the names, each ended by a zero
 * @strings_len: bytes of them
 * @nr: types; 0 before prototypes_open() and when it failed
 * @at: where in @types each PROTOTYPES_STEP-th type is
 */
struct prototypes {
	const u8 *types;
	u32 types_len;
	const char *strings;
	u32 strings_len;
	u32 nr;
	u32 at[PROTOTYPES_STEPS];
};

int prototypes_open(struct prototypes *p, const void *btf, size_t len);
int prototypes_find(const struct prototypes *p, const char *name,
		    bool is_function, char *buf, size_t size);
bool prototype_parse(const char *prototype, char *name, size_t size,
		     bool *is_function);

#endif /* _PMEM_TIER_PROTOTYPE_H */
