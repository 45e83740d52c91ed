// SPDX-License-Identifier: GPL-2.0-only
/*
 * Mapping on page-in and VMAs: which pages a fault maps, and what moves, protects and shares them.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/swap.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include "area.h"

#define TABLE_PAGES	512

static struct area area;

static void all_are(const char *when, enum where where)
{
	uint64_t i;

	for (i = 0; i < area.pages; i++)
		if (where_is(area_page(&area, i)) != where)
			fail("%s: page %" PRIu64 " is %s, not %s", when, i,
			     where_name(where_is(area_page(&area, i))), where_name(where));
}

static void protect(uint64_t first, uint64_t count, int prot)
{
	if (mprotect(area_page(&area, first), count * PAGE, prot))
		die("mprotect");
}

static void start(uint64_t pages, uint64_t offset)
{
	area_new(&area, pages, offset);
	area_fill(&area, KIND_RANDOM);
	area_out(&area);
}

/* What was lent moves to DRAM: it is found through its VMA, wherever that is now */
static void moves_to_dram(void)
{
	drain();
	all_are("after drain", DRAM);
	same("lent_pages", stat_of("lent_pages"), 0);
	area_check(&area);
	area_fill(&area, KIND_RANDOM);
	area_check(&area);
}

/* ---- A fault maps no more than its VMA, page table and window have in common ---- */

#define BORDER_PAGES	320
#define BORDER_OFFSET	(TABLE_PAGES - 150)

static bool expected[BORDER_PAGES];

static uint64_t max3(uint64_t a, uint64_t b, uint64_t c)
{
	a = a > b ? a : b;
	return a > c ? a : c;
}

static uint64_t min3(uint64_t a, uint64_t b, uint64_t c)
{
	a = a < b ? a : b;
	return a < c ? a : c;
}

/* In pages from the begin of the first page table: a fault at @at in the VMA from @first to @end */
static void expect(uint64_t at, uint64_t first, uint64_t end, uint64_t around)
{
	uint64_t window = at - at % around, table = at - at % TABLE_PAGES;
	uint64_t i;

	i = max3(first, window, table);
	end = min3(end, window + around, table + TABLE_PAGES);
	for (; i < end; i++)
		expected[i - BORDER_OFFSET] = true;
}

static void check_expected(uint64_t touched)
{
	uint64_t i;

	for (i = 0; i < BORDER_PAGES; i++)
		if (where_is(area_page(&area, i)) != (expected[i] ? LENT : SWAPPED))
			fail("after page %" PRIu64 ", page %" PRIu64 " is %s", touched, i,
			     where_name(where_is(area_page(&area, i))));
}

/* VMAs side by side that differ in what may be done with them; the last kind can't be touched */
static void borders(const uint64_t *arg)
{
	static const int prot[] = { PROT_READ | PROT_WRITE, PROT_READ, PROT_NONE };
	static const uint64_t length[] = { 1, 3, 5, 2, 16, 1, 31, 7, 40, 64, 1, 100, 13 };
	uint64_t end[BORDER_PAGES], first, i, n, touched = 0, faults = 0, lent = 0;
	struct counters c;

	start(BORDER_PAGES, BORDER_OFFSET);
	for (first = 0, n = 0; first < BORDER_PAGES; first = end[n++]) {
		end[n] = first + length[n % (sizeof(length) / sizeof(length[0]))];
		if (end[n] > BORDER_PAGES)
			end[n] = BORDER_PAGES;
		protect(first, end[n] - first, prot[n % 3]);
	}
	/* First one in the middle of each, then all that are left */
	for (first = 0, i = 0; i < n; first = end[i++]) {
		if (prot[i % 3] == PROT_NONE)
			continue;
		touched = (first + end[i]) / 2;
		area_touch(&area, touched);
		faults++;
		expect(touched + BORDER_OFFSET, first + BORDER_OFFSET, end[i] + BORDER_OFFSET,
		       arg[0]);
		check_expected(touched);
	}
	for (first = 0, i = 0; i < n; first = end[i++]) {
		if (prot[i % 3] == PROT_NONE)
			continue;
		for (touched = first; touched < end[i]; touched++) {
			faults += !expected[touched];
			area_touch(&area, touched);
			expect(touched + BORDER_OFFSET, first + BORDER_OFFSET,
			       end[i] + BORDER_OFFSET, arg[0]);
			lent++;
		}
		check_expected(touched - 1);
	}
	read_counters(&c);
	same("mapped_in_pages", c.mapped_in, faults);
	same("mapped_around_pages", c.mapped_around, lent - faults);
	same("lent_pages", c.lent, lent);

	protect(0, BORDER_PAGES, PROT_READ | PROT_WRITE);
	area_check(&area);
	all_are("in the end", LENT);
	area_fill(&area, KIND_RANDOM);
	area_check(&area);
	all_are("written", LENT);
}

/* ---- mprotect ---- */

static sigjmp_buf on_segv_jump;
static volatile sig_atomic_t segvs;

static void on_segv(int sig)
{
	(void)sig;
	segvs++;
	siglongjmp(on_segv_jump, 1);
}

static void catch_segv(void)
{
	struct sigaction action = { .sa_handler = on_segv };

	if (sigaction(SIGSEGV, &action, NULL))
		die("sigaction");
}

/* It must not be possible. */
static void refuses(uint64_t i, bool write)
{
	volatile unsigned char *p = area_page(&area, i);
	int before = segvs;

	if (!sigsetjmp(on_segv_jump, 1)) {
		if (write)
			*p = 1;
		else
			(void)*p;
	}
	if (segvs != before + 1)
		fail("page %" PRIu64 " can be %s", i, write ? "written" : "read");
}

static void none_and_back(const uint64_t *arg)
{
	uint64_t i;

	catch_segv();
	start(100, 30);
	if (arg[0])
		area_check(&area);
	protect(0, 100, PROT_NONE);
	for (i = 0; i < 100; i++)
		refuses(i, i % 2);
	all_are("without access", arg[0] ? LENT : SWAPPED);
	protect(0, 100, PROT_READ);
	area_check(&area);
	all_are("readable", LENT);
	for (i = 0; i < 100; i++)
		refuses(i, true);
	area_check(&area);
	protect(0, 100, PROT_READ | PROT_WRITE);
	area_check(&area);
	area_fill(&area, KIND_RANDOM);
	area_check(&area);
	all_are("written", LENT);
	moves_to_dram();
}

/* Only what may be written to is writable, neighbours or not */
static void readonly(const uint64_t *arg)
{
	uint64_t i;

	(void)arg;
	catch_segv();
	start(96, 30);
	for (i = 0; i < 96; i += 8)
		protect(i, 4, PROT_READ);
	for (i = 0; i < 96; i++) {
		if (i % 8 < 4)
			refuses(i, true);
		else
			area_write(&area, i, KIND_RANDOM);
	}
	area_check(&area);
	all_are("in the end", LENT);
	protect(0, 96, PROT_READ);
	for (i = 0; i < 96; i++)
		refuses(i, true);
	protect(0, 96, PROT_READ | PROT_WRITE);
	area_fill(&area, KIND_RANDOM);
	area_check(&area);
	all_are("written", LENT);
}

/* A debugger doesn't ask what a VMA's protection is */
static void forced(const uint64_t *arg)
{
	static unsigned char data[PAGE];
	int fd = open("/proc/self/mem", O_RDWR);
	int prot = arg[0] ? PROT_READ : PROT_NONE;
	uint64_t i;

	if (fd < 0)
		die("/proc/self/mem");
	catch_segv();
	start(64, 0);
	protect(0, 64, prot);
	for (i = 0; i < 64; i++) {
		if (pread(fd, data, PAGE, (off_t)(uintptr_t)area_page(&area, i)) != PAGE)
			die("read by force");
		if (page_check(data, area.seed, i, area.model[i].version, area.model[i].kind))
			fail("wrong data in page %" PRIu64, i);
	}
	all_are("read by force", LENT);
	refuses(5, true);
	for (i = 0; i < 64; i += 3) {
		area_compose(&area, i, KIND_RANDOM, data);
		if (pwrite(fd, data, PAGE, (off_t)(uintptr_t)area_page(&area, i)) != PAGE)
			die("write by force");
	}
	refuses(5, true);
	protect(0, 64, PROT_READ | PROT_WRITE);
	area_check(&area);
	area_fill(&area, KIND_RANDOM);
	area_check(&area);
	drain();
	area_out(&area);
	protect(0, 64, prot);
	for (i = 0; i < 64; i += 3) {
		area_compose(&area, i, KIND_RANDOM, data);
		if (pwrite(fd, data, PAGE, (off_t)(uintptr_t)area_page(&area, i)) != PAGE)
			die("write by force");
	}
	drain();
	protect(0, 64, PROT_READ | PROT_WRITE);
	area_check(&area);
	area_fill(&area, KIND_RANDOM);
	area_check(&area);
	close(fd);
}

/* swapoff maps what nobody could touch at that moment */
static void swapoff_protected(const uint64_t *arg)
{
	uint64_t i;

	(void)arg;
	catch_segv();
	start(90, 470);
	for (i = 0; i < 90; i += 9) {
		protect(i, 3, PROT_NONE);
		protect(i + 3, 3, PROT_READ);
	}
	if (swapoff(getenv("LENT_DEVICE")))
		die("swapoff");
	all_are("after swapoff", LENT);
	for (i = 0; i < 90; i++)
		if (i % 9 < 6)
			refuses(i, i % 9 >= 3);
	protect(0, 90, PROT_READ | PROT_WRITE);
	area_check(&area);
	area_fill(&area, KIND_RANDOM);
	area_check(&area);
	all_are("written", LENT);
}

/* ---- mremap ---- */

static void move_to(struct area *a, uint64_t pages, uint64_t offset, int flags)
{
	struct model *model;
	struct area to;
	uint64_t i;

	area_new(&to, pages, offset);
	if (mremap(a->addr, a->pages * PAGE, pages * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED | flags,
		   to.addr) != to.addr)
		die("mremap");
	if (flags & MREMAP_DONTUNMAP)
		for (i = 0; i < a->pages; i++)
			same("what is left behind", where_is(area_page(a, i)), NOWHERE);
	model = to.model;
	memcpy(model, a->model, (pages < a->pages ? pages : a->pages) * sizeof(*model));
	free(a->model);
	a->addr = to.addr;
	a->pages = pages;
	a->model = model;
}

/* @arg: 0 all of it is out, 1 lent, 2 some of it */
static void move_about(const uint64_t *arg)
{
	uint64_t i;

	start(300, 100);
	for (i = 0; i < 300; i += 50)
		if (arg[0])
			area_touch(&area, i);
	if (arg[0] == 1)
		area_check(&area);
	/* Over the end of a page table, where the windows are other ones */
	move_to(&area, 300, TABLE_PAGES - 7, 0);
	area_check(&area);
	all_are("moved", LENT);
	moves_to_dram();
	area_out(&area);
	for (i = 1; i < 300; i += 40)
		if (arg[0])
			area_touch(&area, i);
	/* Longer; what is new is empty */
	move_to(&area, 700, 3, 0);
	area_check(&area);
	area_fill(&area, KIND_RANDOM);
	area_check(&area);
	moves_to_dram();
	area_out(&area);
	area_touch(&area, 510);
	/* Shorter, and the old VMA stays */
	move_to(&area, 250, TABLE_PAGES - 100, 0);
	if (arg[0])
		area_touch(&area, 90);
	move_to(&area, 250, 77, MREMAP_DONTUNMAP);
	area_check(&area);
	all_are("moved again", LENT);
	area_fill(&area, KIND_RANDOM);
	area_check(&area);
	moves_to_dram();
}

/* In place, both ways, with swapped pages on both sides of the new end */
static void resize(const uint64_t *arg)
{
	unsigned char *place;
	struct area room;

	(void)arg;
	/* Its middle is unmapped, so that there is room to grow */
	area_new(&room, 1200, 400);
	place = room.addr;
	if (munmap(place, 1200 * PAGE))
		die("munmap");
	if (mmap(place, 200 * PAGE, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) != place)
		die("mmap");
	madvise(place, 200 * PAGE, MADV_NOHUGEPAGE);
	area_at(&area, place, 1100);
	area.pages = 200;
	area_fill(&area, KIND_RANDOM);
	area_out(&area);
	area_touch(&area, 111);
	if (mremap(place, 200 * PAGE, 1100 * PAGE, 0) != place)
		die("mremap");
	area.pages = 1100;
	area_check(&area);
	area_fill(&area, KIND_RANDOM);
	drain();
	area_out(&area);
	area_touch(&area, 150);
	if (mremap(place, 1100 * PAGE, 155 * PAGE, 0) != place)
		die("mremap");
	area.pages = 155;
	area_check(&area);
	wait_lent(155);
	area_fill(&area, KIND_RANDOM);
	area_check(&area);
	moves_to_dram();
}

/* ---- Private pages of a file: never lent ---- */

static void private_file(const uint64_t *arg)
{
	int fd = memfd_create("private", MFD_CLOEXEC);
	struct area shared;
	struct counters c;
	int status;
	uint64_t i;
	pid_t pid;
	void *addr;

	if (fd < 0 || ftruncate(fd, 128 * PAGE))
		die("memfd");
	addr = mmap(NULL, 128 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (addr == MAP_FAILED)
		die("mmap");
	area_at(&shared, addr, 128);
	area_fill(&shared, KIND_RANDOM);
	/* From its 10th page on, and not with the same index as in the file */
	addr = mmap(NULL, 100 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 10 * PAGE);
	if (addr == MAP_FAILED)
		die("mmap");
	area_at(&area, addr, 100);
	for (i = 0; i < 100; i += 2)
		area_write(&area, i, KIND_RANDOM);
	for (i = 0; i < 100; i += 2)
		range_out(&area, i, 1);
	madvise(shared.addr, 128 * PAGE, MADV_PAGEOUT);
	for (i = 0; i < 100; i += 2) {
		area_check_page(&area, i);
		same("a page of its own", where_is(area_page(&area, i)), DRAM);
	}
	for (i = 1; i < 100; i += 2) {
		if (page_check(area_page(&area, i), shared.seed, i + 10,
			       shared.model[i + 10].version, KIND_RANDOM))
			fail("wrong data in page %" PRIu64 " of the file", i + 10);
		same("a page of the file", where_is(area_page(&area, i)), DRAM);
	}
	area_check(&shared);
	read_counters(&c);
	same("lent_pages", c.lent, 0);
	/* The file changes; what was written in private doesn't, with a child or without */
	madvise(shared.addr, 128 * PAGE, MADV_PAGEOUT);
	area_fill(&shared, KIND_RANDOM);
	if (arg[0]) {
		drain();
		for (i = 0; i < 100; i += 2)
			range_out(&area, i, 1);
	}
	pid = fork();
	if (pid < 0)
		die("fork");
	if (!pid) {
		for (i = 0; i < 100; i += 2)
			area_check_page(&area, i);
		area_fill(&area, KIND_RANDOM);
		area_check(&area);
		area_check(&shared);
		_exit(EXIT_OK);
	}
	if (waitpid(pid, &status, 0) != pid)
		die("waitpid");
	same("status of the child", (uint64_t)status, 0);
	for (i = 0; i < 100; i += 2)
		area_check_page(&area, i);
	area_check(&shared);
	area_fill(&area, KIND_RANDOM);
	area_check(&area);
	area_check(&shared);
	drain();
	area_check(&area);
	close(fd);
}

/*
 * mm wants to replace the page table of a huge page of the file, and complains when it comes
 * across a page like those that we lend: collapse_pte_mapped_thp().
 */
static void private_huge(const uint64_t *arg)
{
	int fd = memfd_create("private", MFD_CLOEXEC);
	const uint64_t pages = 512;
	struct area shared;
	uint64_t i;
	void *addr;

	(void)arg;
	if (fd < 0 || ftruncate(fd, pages * PAGE))
		die("memfd");
	area_new(&shared, 2 * pages, 0);
	addr = mmap(shared.addr, pages * PAGE, PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_FIXED, fd, 0);
	if (addr == MAP_FAILED)
		die("mmap");
	area_at(&shared, addr, pages);
	area_fill(&shared, KIND_RANDOM);
	if (madvise(addr, pages * PAGE, MADV_COLLAPSE))
		die("MADV_COLLAPSE");
	addr = mmap(shared.addr + pages * PAGE, pages * PAGE, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_FIXED, fd, 0);
	if (addr == MAP_FAILED)
		die("mmap");
	area_at(&area, addr, pages);
	for (i = 0; i < 8; i++)
		area_write(&area, i, KIND_RANDOM);
	range_out(&area, 0, 8);
	for (i = 0; i < 8; i++)
		area_check_page(&area, i);
	if (!madvise(addr, pages * PAGE, MADV_COLLAPSE))
		fail("what was written in private was replaced");
	for (i = 0; i < 8; i++)
		area_check_page(&area, i);
	area_check(&shared);
	close(fd);
}

/* ---- Somebody else's memory ---- */

/* A parent reads and writes what its child has swapped out */
static void other_process(const uint64_t *arg)
{
	static unsigned char data[PAGE];
	struct iovec here = { .iov_base = data, .iov_len = PAGE }, there = { .iov_len = PAGE };
	int ready[2], go[2], status;
	struct counters c;
	uint64_t i;
	pid_t pid;
	char byte;

	(void)arg;
	area_new(&area, 64, 0);
	if (pipe(ready) || pipe(go))
		die("pipe");
	pid = fork();
	if (pid < 0)
		die("fork");
	if (!pid) {
		area_fill(&area, KIND_RANDOM);
		area_out(&area);
		if (write(ready[1], "", 1) != 1 || read(go[0], &byte, 1) != 1)
			die("pipe");
		all_are("seen by another process", LENT);
		for (i = 1; i < 64; i += 2)
			area.model[i].version++;
		area_check(&area);
		area_fill(&area, KIND_RANDOM);
		area_check(&area);
		_exit(EXIT_OK);
	}
	close(ready[1]);
	close(go[0]);
	if (read(ready[0], &byte, 1) != 1)
		fail("the child didn't get ready");
	for (i = 0; i < 64; i++) {
		area.model[i].version = 1;
		there.iov_base = area_page(&area, i);
		if (i % 2) {
			area_compose(&area, i, KIND_RANDOM, data);
			if (process_vm_writev(pid, &here, 1, &there, 1, 0) != PAGE)
				die("process_vm_writev");
			continue;
		}
		if (process_vm_readv(pid, &here, 1, &there, 1, 0) != PAGE)
			die("process_vm_readv");
		if (page_check(data, area.seed, i, 1, KIND_RANDOM))
			fail("wrong data in page %" PRIu64, i);
	}
	read_counters(&c);
	same("lent_pages", c.lent, 64);
	same("mapped_in_pages and mapped_around_pages", c.mapped_in + c.mapped_around, 64);
	if (write(go[1], "", 1) != 1 || waitpid(pid, &status, 0) != pid)
		die("child");
	same("status of the child", (uint64_t)status, 0);
	same("pages here", area_count(&area, NOWHERE), 64);
}

static const struct test_case cases[] = {
	{ "borders", borders },
	{ "none-and-back", none_and_back },
	{ "readonly", readonly },
	{ "forced", forced },
	{ "swapoff", swapoff_protected },
	{ "moved", move_about },
	{ "resized", resize },
	{ "private-file", private_file },
	{ "private-huge", private_huge },
	{ "other-process", other_process },
	{}
};

int main(int argc, char **argv)
{
	return run_case(cases, argc, argv);
}
