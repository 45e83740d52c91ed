/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * For tests of page-in by mapping in C: memory with a model of it, where each page is, counters.
 */
#ifndef _SELFTESTS_AREA_H
#define _SELFTESTS_AREA_H

#include "common.h"

/* Not in Debian 12's headers */
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE	25
#endif

#define EXIT_SKIP	4

/**
 * DOC: the environment
 *
 * lib/mapping.sh tells these programs which device they are about: LENT_DEVICE is its path,
 * LENT_STATS its directory in sysfs, LENT_PFNS the first page frame of its pmem and the one after
 * the last.
 */

/* What a page should hold; version 0: zeros. */
struct model {
	uint32_t version;
	enum kind kind;
};

struct area {
	unsigned char *addr;
	uint64_t pages;
	uint64_t seed;
	struct model *model;
};

/* Where a page is: what pagemap and mincore() say of it. */
enum where {
	NOWHERE,
	SWAPPED,	/* and not in the swap cache */
	CACHED,		/* swapped, and in the swap cache */
	LENT,
	DRAM,
};

/* Bits of an entry of /proc/self/pagemap */
#define PM_SOFT_DIRTY	(1ULL << 55)
#define PM_UFFD_WP	(1ULL << 57)
#define PM_PFN		((1ULL << 55) - 1)
#define PM_SWAP		(1ULL << 62)
#define PM_PRESENT	(1ULL << 63)

/* How pages came in since the program began, and how many are lent. */
struct counters {
	uint64_t mapped_in;
	uint64_t mapped_around;
	uint64_t copied_in;
	uint64_t lent;
};

/**
 * struct test_case - what a program can be told to do
 * @name: the first argument
 * @run: does it; the rest of the arguments are numbers
 */
struct test_case {
	const char *name;
	void (*run)(const uint64_t *arg);
};

#define TEST_ARGS	4

/* The main program: runs the case that the first argument names. */
int run_case(const struct test_case *cases, int argc, char **argv);

/* Ends the program. */
void fail(const char *fmt, ...) __attribute__((noreturn, format(printf, 1, 2)));
void skip(const char *fmt, ...) __attribute__((noreturn, format(printf, 1, 2)));

void same(const char *what, uint64_t got, uint64_t wanted);
void at_least(const char *what, uint64_t got, uint64_t wanted);

/* A VMA of its own, of small pages, that begins at @offset pages in a page table. */
void area_new(struct area *a, uint64_t pages, uint64_t offset);
/* ... of memory that the caller has mapped */
void area_at(struct area *a, void *addr, uint64_t pages);
void area_free(struct area *a);

void *area_page(const struct area *a, uint64_t i);
void area_write(struct area *a, uint64_t i, enum kind kind);
/* The model only: what area_write() would write goes to @to. */
void area_compose(struct area *a, uint64_t i, enum kind kind, void *to);
void area_fill(struct area *a, enum kind kind);
void area_check_page(const struct area *a, uint64_t i);
void area_check(const struct area *a);
/* Read one byte of it: a read fault. */
void area_touch(const struct area *a, uint64_t i);

/* Have it swapped out, all of it and out of the swap cache. */
void area_out(const struct area *a);
void range_out(const struct area *a, uint64_t first, uint64_t count);

uint64_t pagemap_of(const void *addr);
enum where where_is(const void *addr);
/* The page frame of a page of the pool that is mapped, else 0 */
uint64_t lent_pfn(const void *addr);
/* A page frame fails; returns 0 or what the kernel says. */
int hwpoison(uint64_t pfn);
uint64_t area_count(const struct area *a, enum where where);
const char *where_name(enum where where);

uint64_t stat_of(const char *name);
void read_counters(struct counters *c);
/* Counters begin at 0 again. */
void reset_counters(void);
void drain(void);
/* Returns false when pages stay lent. */
bool drain_or_busy(void);
/* Pages that were returned are freed in the background. */
void wait_lent(uint64_t pages);

/* KiB that smaps tells of a field, over all VMAs that begin in the area */
uint64_t smaps_of(const struct area *a, const char *field);

void write_file(const char *path, const char *text);

#endif /* _SELFTESTS_AREA_H */
