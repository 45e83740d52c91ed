// SPDX-License-Identifier: GPL-2.0-only
/*
 * Soft-dirty bits of memory that is swapped out and mapped in: what was written to has them.
 */
#define _GNU_SOURCE
#include <sys/mman.h>
#include <sys/swap.h>

#include "area.h"

#define PAGES	64

static struct area area;
static bool dirty[PAGES];

static void clear_all(void)
{
	write_file("/proc/self/clear_refs", "4");
	memset(dirty, 0, sizeof(dirty));
}

static void write_page(uint64_t i)
{
	area_write(&area, i, KIND_RANDOM);
	dirty[i] = true;
}

/* Every third page, without those that came before if @phase differs */
static void write_some(unsigned int phase)
{
	uint64_t i;

	for (i = phase; i < PAGES; i += 3)
		write_page(i);
}

static void check_bits(const char *when)
{
	uint64_t i;

	for (i = 0; i < PAGES; i++)
		if (!(pagemap_of(area_page(&area, i)) & PM_SOFT_DIRTY) == dirty[i])
			fail("%s: page %" PRIu64 " is %sdirty", when, i, dirty[i] ? "not " : "");
}

static void check_lent(void)
{
	same("pages lent", area_count(&area, LENT), PAGES);
}

/* An area of which every third page is dirty; all of it is out */
static void start(void)
{
	area_new(&area, PAGES, 0);
	area_fill(&area, KIND_RANDOM);
	if (!(pagemap_of(area.addr) & PM_SOFT_DIRTY))
		skip("needs CONFIG_MEM_SOFT_DIRTY");
	clear_all();
	check_bits("cleared");
	write_some(0);
	check_bits("written");
	area_out(&area);
	check_bits("out");
}

static void read_first(const uint64_t *arg)
{
	(void)arg;
	start();
	area_check(&area);
	check_lent();
	check_bits("read");
	write_some(1);
	check_bits("written");
	area_check(&area);
	check_lent();
}

static void write_first(const uint64_t *arg)
{
	(void)arg;
	start();
	write_some(1);
	check_bits("written while out");
	area_check(&area);
	check_lent();
	check_bits("read");
	write_some(2);
	check_bits("written");
	area_check(&area);
}

static void clear_while_out(const uint64_t *arg)
{
	(void)arg;
	start();
	clear_all();
	check_bits("cleared while out");
	area_check(&area);
	check_bits("read");
	write_some(1);
	check_bits("written");
	area_check(&area);
	check_lent();
}

static void clear_while_lent(const uint64_t *arg)
{
	(void)arg;
	start();
	area_check(&area);
	write_some(1);
	clear_all();
	check_bits("cleared");
	write_some(2);
	check_bits("written");
	area_check(&area);
	check_lent();
}

/* They come with a page that moves to DRAM, and from there out and in again */
static void moved(const uint64_t *arg)
{
	(void)arg;
	start();
	area_check(&area);
	drain();
	same("pages in DRAM", area_count(&area, DRAM), PAGES);
	check_bits("in DRAM");
	write_some(1);
	check_bits("written");
	area_out(&area);
	check_bits("out");
	area_check(&area);
	check_lent();
	check_bits("read");
}

static void off(const uint64_t *arg)
{
	(void)arg;
	start();
	if (swapoff(getenv("LENT_DEVICE")))
		die("swapoff");
	check_lent();
	check_bits("after swapoff");
	write_some(1);
	check_bits("written");
	area_check(&area);
}

static const struct test_case cases[] = {
	{ "read-first", read_first },
	{ "write-first", write_first },
	{ "clear-while-out", clear_while_out },
	{ "clear-while-lent", clear_while_lent },
	{ "moved", moved },
	{ "swapoff", off },
	{}
};

int main(int argc, char **argv)
{
	return run_case(cases, argc, argv);
}
