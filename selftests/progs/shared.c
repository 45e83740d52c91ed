// SPDX-License-Identifier: GPL-2.0-only
/*
 * Shared memory on a device that maps: it comes in by copying, and all who map, read or inherit it
 * see the same.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/swap.h>
#include <sys/wait.h>

#include "area.h"

#define PAGES	128

static struct area area, anon;
static int fd;

/* Most of it at least: what is out only the file knows */
static void page_out(void)
{
	uint64_t written = stat_of("written_pages"), enough = written + PAGES * 9 / 10;
	int try;

	for (try = 0; try < 50 && stat_of("written_pages") < enough; try++) {
		if (madvise(area.addr, area.pages * PAGE, MADV_PAGEOUT))
			die("MADV_PAGEOUT");
		write_file("/proc/sys/vm/compact_memory", "1");
	}
	at_least("written_pages", stat_of("written_pages"), enough);
}

/* Shared memory, and anonymous memory whose pages go out in between */
static void start(void)
{
	void *addr;
	uint64_t i;

	fd = memfd_create("shared", MFD_CLOEXEC);
	if (fd < 0 || ftruncate(fd, PAGES * PAGE))
		die("file");
	addr = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (addr == MAP_FAILED)
		die("mmap");
	area_at(&area, addr, PAGES);
	area_fill(&area, KIND_RANDOM);
	area_new(&anon, PAGES, 0);
	area_fill(&anon, KIND_RANDOM);
	for (i = 0; i < PAGES; i += 16)
		range_out(&anon, i, 16);
	page_out();
}

static void check_both(void)
{
	uint64_t i;

	area_check(&area);
	area_check(&anon);
	for (i = 0; i < PAGES; i++)
		same("a page of shared memory", where_is(area_page(&area, i)), DRAM);
}

static void wait_child(pid_t pid)
{
	int status;

	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		die("child");
	same("status of the child", (uint64_t)status, 0);
}

/* Both write to it, in turn; each sees the other's pages, and not those that aren't shared */
static void fork_and_write(const uint64_t *arg)
{
	uint64_t round, i;
	pid_t pid;

	(void)arg;
	start();
	for (round = 0; round < 4; round++) {
		if (round)
			page_out();
		pid = fork();
		if (!pid) {
			check_both();
			for (i = round % 2; i < PAGES; i += 2)
				area_write(&area, i, KIND_RANDOM);
			area_fill(&anon, KIND_RANDOM);
			page_out();
			check_both();
			_exit(EXIT_OK);
		}
		wait_child(pid);
		for (i = round % 2; i < PAGES; i += 2) {
			area.model[i].version++;
			area.model[i].kind = KIND_RANDOM;
		}
		check_both();
		area_fill(&area, KIND_RANDOM);
		check_both();
	}
	same("private pages that are out", area_count(&anon, SWAPPED), 0);
}

static void by_read(const uint64_t *arg)
{
	static unsigned char data[PAGE];
	uint64_t i;

	(void)arg;
	start();
	for (i = 0; i < PAGES; i++) {
		if (pread(fd, data, PAGE, (off_t)(i * PAGE)) != PAGE)
			die("read");
		if (page_check(data, area.seed, i, area.model[i].version, area.model[i].kind))
			fail("wrong data in page %" PRIu64, i);
	}
	/* Only what is mapped can be advised on. */
	area_check(&area);
	page_out();
	for (i = 0; i < PAGES; i += 3) {
		area_compose(&area, i, KIND_RANDOM, data);
		if (pwrite(fd, data, PAGE, (off_t)(i * PAGE)) != PAGE)
			die("write");
	}
	check_both();
}

/* Punched, cut and made longer while it is out */
static void cut(const uint64_t *arg)
{
	uint64_t i;

	(void)arg;
	start();
	if (fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 20 * PAGE, 30 * PAGE) ||
	    ftruncate(fd, 100 * PAGE) || ftruncate(fd, PAGES * PAGE))
		die("truncate");
	for (i = 0; i < PAGES; i++)
		if ((i >= 20 && i < 50) || i >= 100)
			area.model[i].version = 0;
	check_both();
	area_fill(&area, KIND_RANDOM);
	page_out();
	check_both();
}

/* What is private is mapped, what is shared copied */
static void off(const uint64_t *arg)
{
	struct counters c;

	(void)arg;
	start();
	if (swapoff(getenv("LENT_DEVICE")))
		die("swapoff");
	same("private pages lent", area_count(&anon, LENT), PAGES);
	read_counters(&c);
	at_least("copied_in_pages", c.copied_in, PAGES * 9 / 10);
	same("mapped_in_pages", c.mapped_in, PAGES);
	check_both();
	area_fill(&area, KIND_RANDOM);
	area_fill(&anon, KIND_RANDOM);
	check_both();
}

/* Nobody maps it while it is out */
static void unmapped(const uint64_t *arg)
{
	struct counters c;
	void *addr;

	(void)arg;
	start();
	munmap(area.addr, PAGES * PAGE);
	addr = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (addr == MAP_FAILED)
		die("mmap");
	area.addr = addr;
	reset_counters();
	check_both();
	read_counters(&c);
	same("mapped in", c.mapped_in + c.mapped_around, PAGES);
	same("lent_pages", c.lent, PAGES);
	at_least("copied_in_pages", c.copied_in, PAGES * 9 / 10);
}

static const struct test_case cases[] = {
	{ "fork", fork_and_write },
	{ "read", by_read },
	{ "cut", cut },
	{ "swapoff", off },
	{ "unmapped", unmapped },
	{}
};

int main(int argc, char **argv)
{
	return run_case(cases, argc, argv);
}
