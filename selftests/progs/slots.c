// SPDX-License-Identifier: GPL-2.0-only
/*
 * Slots are written again and again, in turn by the device, the kernel's zero map and zswap: who
 * was the last to write has what comes in.
 *
 * A page that came into the swap cache keeps its slot when it is written to and goes out again.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sys/mman.h>

#include "area.h"

#define MAX_PAGES	1024
#define ZSWAP	"/sys/module/zswap/parameters/enabled"

static struct area area;
static uint64_t generator;

static uint64_t below(uint64_t n)
{
	return next_random(&generator) % n;
}

/* Type and offset of the swap entry */
static uint64_t slot_of(uint64_t i)
{
	return pagemap_of(area_page(&area, i)) & ((1ULL << 55) - 1);
}

static enum kind some_kind(void)
{
	static const enum kind kinds[] = {
		KIND_RANDOM, KIND_RANDOM, KIND_ZERO, KIND_SAME, KIND_ALMOST,
	};

	return kinds[below(sizeof(kinds) / sizeof(kinds[0]))];
}

/* Into the swap cache and from there into the page table, the slot kept */
static void cache(uint64_t i)
{
	if (madvise(area_page(&area, i), PAGE, MADV_WILLNEED))
		die("MADV_WILLNEED");
	area_check_page(&area, i);
	if (where_is(area_page(&area, i)) != DRAM)
		fail("page %" PRIu64 " is %s", i, where_name(where_is(area_page(&area, i))));
}

/* Have a page swapped out that isn't lent */
static void out(uint64_t i)
{
	enum where where;
	int try;

	for (try = 0; try < 50; try++) {
		if (madvise(area_page(&area, i), PAGE, MADV_PAGEOUT))
			die("MADV_PAGEOUT");
		where = where_is(area_page(&area, i));
		/* What zswap writes back is in the swap cache, until it is reclaimed. */
		if (where == SWAPPED || where == CACHED)
			return;
		write_file("/proc/sys/vm/compact_memory", "1");
	}
	fail("page %" PRIu64 " is still %s", i, where_name(where));
}

/* @file: the cgroup's memory.reclaim */
static void empty_cache(const char *file)
{
	int fd = open(file, O_WRONLY);
	int try;

	if (fd < 0)
		die("%s", file);
	for (try = 0; try < 50 && area_count(&area, CACHED); try++)
		if (write(fd, "256K", 4) < 0 && errno != EAGAIN)
			die("%s", file);
	close(fd);
	same("pages in the swap cache", area_count(&area, CACHED), 0);
}

static uint64_t lent[KIND_MIXED], not_lent[KIND_MIXED];

/* By a fault, with neighbours: only the device can have what is lent */
static void fault(uint64_t i)
{
	enum where before = where_is(area_page(&area, i));
	enum kind kind = area.model[i].kind;

	area_check_page(&area, i);
	if (before != SWAPPED)
		return;
	if (where_is(area_page(&area, i)) == LENT)
		lent[kind]++;
	else
		not_lent[kind]++;
}

/*
 * @arg: pages; how many rounds; a seed; 1 to use zswap as well. If that writes back, $RECLAIM has
 * to be the file that reclaims from this cgroup.
 */
static void rewrite(const uint64_t *arg)
{
	uint64_t slot[MAX_PAGES] = {}, kept = 0, round, i;
	uint64_t pages = arg[0], rounds = arg[1];

	if (pages > MAX_PAGES)
		fail("too many pages");
	generator = arg[2];
	if (arg[3] && access(ZSWAP, W_OK))
		skip("no zswap");
	area_new(&area, pages, 0);
	area_fill(&area, KIND_RANDOM);
	for (round = 0; round < rounds; round++) {
		/* Lent pages and their slots part here. */
		if (round % 4 == 0)
			drain();
		for (i = 0; i < pages; i++)
			if (where_is(area_page(&area, i)) == SWAPPED)
				cache(i);
		for (i = 0; i < pages; i++)
			if (below(10) < 8)
				area_write(&area, i, some_kind());
		if (arg[3])
			write_file(ZSWAP, round % 3 != 1 ? "Y" : "N");
		for (i = 0; i < pages; i++) {
			if (where_is(area_page(&area, i)) == LENT)
				continue;
			out(i);
			kept += slot[i] && slot[i] == slot_of(i);
			slot[i] = slot_of(i);
		}
		if (getenv("RECLAIM"))
			empty_cache(getenv("RECLAIM"));
		if (round % 4 == 3)
			for (i = 0; i < pages; i++)
				fault(i);
		else
			for (i = 0; i < pages / 32; i++)
				fault(below(pages));
	}
	area_check(&area);
	printf("slots kept %" PRIu64 " of %" PRIu64 "\n", kept, pages * rounds);
	for (i = 0; i < KIND_MIXED; i++)
		printf("kind %" PRIu64 ": lent %" PRIu64 ", not %" PRIu64 "\n", i, lent[i],
		       not_lent[i]);
	at_least("kept slots", kept, pages * rounds / 8);
	same("pages of zeros lent", lent[KIND_ZERO], 0);
	same("pages of one value lent", lent[KIND_SAME], 0);
	at_least("pages lent", lent[KIND_RANDOM], 1);
	if (!arg[3])
		same("pages that only the device has, and not lent",
		     not_lent[KIND_RANDOM] + not_lent[KIND_ALMOST], 0);
	else if (!getenv("RECLAIM"))
		at_least("pages that zswap had", not_lent[KIND_ALMOST], 1);
}

static const struct test_case cases[] = {
	{ "rewrite", rewrite },
	{}
};

int main(int argc, char **argv)
{
	return run_case(cases, argc, argv);
}
