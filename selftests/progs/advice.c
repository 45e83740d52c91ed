// SPDX-License-Identifier: GPL-2.0-only
/*
 * madvise(), mlock(), pins and accessed bits on memory that is swapped out, lent, or some of each.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/io_uring.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include "area.h"

#define PAGES		96
#define TABLE_PAGES	512

/* Newer than the headers may be */
#ifndef MADV_SOFT_OFFLINE
#define MADV_SOFT_OFFLINE	101
#endif
#ifndef MLOCK_ONFAULT
#define MLOCK_ONFAULT	1
#endif

enum state {
	ALL_OUT,
	ALL_LENT,
	HALF_LENT,	/* the first half; the rest is out */
	HALF_DRAM,	/* the same */
};

static struct area area;

static void advise(uint64_t first, uint64_t count, int advice)
{
	if (madvise(area_page(&area, first), count * PAGE, advice))
		die("madvise %d", advice);
}

static void expect(const char *when, uint64_t first, uint64_t count, enum where where)
{
	uint64_t i;

	for (i = first; i < first + count; i++)
		if (where_is(area_page(&area, i)) != where)
			fail("%s: page %" PRIu64 " is %s, not %s", when, i,
			     where_name(where_is(area_page(&area, i))), where_name(where));
}

static void forget(uint64_t first, uint64_t count)
{
	while (count--)
		area.model[first++].version = 0;
}

static void set_up(uint64_t pages, enum state state)
{
	uint64_t i, n = state == ALL_OUT ? 0 : state == ALL_LENT ? pages : pages / 2;

	area_new(&area, pages, 0);
	area_fill(&area, KIND_RANDOM);
	if (state == HALF_DRAM)
		range_out(&area, n, pages - n);
	else
		area_out(&area);
	for (i = 0; i < n; i++)
		area_check_page(&area, i);
	expect("at the start", 0, n, state == HALF_DRAM ? DRAM : LENT);
	expect("at the start", n, pages - n, SWAPPED);
}

static void rewrite(void)
{
	area_check(&area);
	area_fill(&area, KIND_RANDOM);
	area_check(&area);
	drain();
	area_check(&area);
	expect("after drain", 0, area.pages, DRAM);
}

/* ---- madvise ---- */

static void dontneed(const uint64_t *arg)
{
	(void)arg;
	set_up(PAGES, HALF_LENT);
	advise(PAGES / 4, PAGES / 2, MADV_DONTNEED);
	forget(PAGES / 4, PAGES / 2);
	wait_lent(PAGES / 4);
	expect("in between", PAGES / 4, PAGES / 2, NOWHERE);
	/* What is gone doesn't come back with a neighbour */
	area_touch(&area, PAGES / 4 - 1);
	area_touch(&area, PAGES - 1);
	expect("in between", PAGES / 4, PAGES / 2, NOWHERE);
	rewrite();
}

/* What isn't in DRAM may go at once; a lent page stays what it is */
static void free_later(const uint64_t *arg)
{
	set_up(PAGES, (enum state)arg[0]);
	advise(0, PAGES, MADV_FREE);
	if (arg[0] == ALL_LENT) {
		expect("advised", 0, PAGES, LENT);
	} else {
		expect("advised", 0, PAGES, NOWHERE);
		forget(0, PAGES);
	}
	area_write(&area, 7, KIND_RANDOM);
	rewrite();
}

/* A third isn't inherited, a third is inherited as zeros */
static void fork_with(const uint64_t *arg)
{
	unsigned char in;
	uint64_t i;
	int status;
	pid_t pid;

	set_up(PAGES, (enum state)arg[0]);
	advise(PAGES / 3, PAGES / 3, MADV_DONTFORK);
	advise(PAGES * 2 / 3, PAGES / 3, MADV_WIPEONFORK);
	pid = fork();
	if (pid < 0)
		die("fork");
	if (!pid) {
		for (i = PAGES / 3; i < PAGES * 2 / 3; i++)
			if (!mincore(area_page(&area, i), PAGE, &in))
				fail("page %" PRIu64 " was inherited", i);
		expect("wiped", PAGES * 2 / 3, PAGES / 3, NOWHERE);
		forget(PAGES * 2 / 3, PAGES / 3);
		for (i = 0; i < PAGES; i++) {
			if (i / (PAGES / 3) == 1)
				continue;
			area_check_page(&area, i);
			area_write(&area, i, KIND_RANDOM);
		}
		_exit(EXIT_OK);
	}
	if (waitpid(pid, &status, 0) != pid)
		die("waitpid");
	same("status of the child", (uint64_t)status, 0);
	/* Nothing of them is shared, so all of them can be mapped. */
	for (i = PAGES / 3; i < PAGES; i++)
		area_touch(&area, i);
	expect("not shared", PAGES / 3, PAGES * 2 / 3, LENT);
	advise(PAGES / 3, PAGES / 3, MADV_DOFORK);
	rewrite();
}

static void populate(const uint64_t *arg)
{
	struct counters c;

	set_up(PAGES, HALF_LENT);
	advise(0, PAGES, arg[0] ? MADV_POPULATE_WRITE : MADV_POPULATE_READ);
	expect("populated", 0, PAGES, LENT);
	read_counters(&c);
	same("mapped_in_pages and mapped_around_pages", c.mapped_in + c.mapped_around, PAGES);
	rewrite();
}

/* In the swap cache there is a copy already, and it is the one */
static void willneed(const uint64_t *arg)
{
	uint64_t cached = stat_of("fallback_cached");

	(void)arg;
	set_up(PAGES, ALL_OUT);
	advise(PAGES / 3, PAGES / 3, MADV_WILLNEED);
	expect("advised", PAGES / 3, PAGES / 3, CACHED);
	area_check(&area);
	expect("not cached", 0, PAGES / 3, LENT);
	expect("cached", PAGES / 3, PAGES / 3, DRAM);
	expect("not cached", PAGES * 2 / 3, PAGES / 3, LENT);
	same("fallback_cached", stat_of("fallback_cached") - cached, PAGES / 3);
	rewrite();
}

static void cold(const uint64_t *arg)
{
	(void)arg;
	set_up(PAGES, ALL_LENT);
	advise(0, PAGES, MADV_COLD);
	expect("cold", 0, PAGES, LENT);
	advise(0, PAGES, MADV_PAGEOUT);
	expect("to be paged out", 0, PAGES, LENT);
	rewrite();
	area_out(&area);
	area_check(&area);
}

/* Whether it can be done or not; but it must be if nothing is lent, and some is in DRAM */
static void collapse(const uint64_t *arg)
{
	set_up(TABLE_PAGES, (enum state)arg[0]);
	advise(0, TABLE_PAGES, MADV_HUGEPAGE);
	if (madvise(area.addr, TABLE_PAGES * PAGE, MADV_COLLAPSE))
		printf("MADV_COLLAPSE: %s\n", strerrorname_np(errno));
	printf("%" PRIu64 " KiB huge, %" PRIu64 " pages lent\n", smaps_of(&area, "AnonHugePages"),
	       area_count(&area, LENT));
	if (arg[0] == HALF_DRAM)
		same("KiB huge", smaps_of(&area, "AnonHugePages"), TABLE_PAGES * 4);
	rewrite();
}

/* The kernel has nowhere to take such a page to */
static void take_away(const uint64_t *arg)
{
	int status[PAGES], node[PAGES] = {};
	void *page[PAGES];
	uint64_t i;

	(void)arg;
	set_up(PAGES, ALL_LENT);
	if (!madvise(area_page(&area, 5), PAGE, MADV_SOFT_OFFLINE))
		fail("a lent page could be taken offline");
	for (i = 0; i < PAGES; i++)
		page[i] = area_page(&area, i);
	/* Where is it, and go there */
	if (syscall(SYS_move_pages, 0, PAGES, page, NULL, status, 0) < 0)
		die("move_pages");
	syscall(SYS_move_pages, 0, PAGES, page, node, status, 2);
	expect("after all that", 0, PAGES, LENT);
	rewrite();
}

/* ---- mlock ---- */

static uint64_t meminfo_kib(const char *field)
{
	size_t length = strlen(field);
	uint64_t kib = 0;
	char line[256];
	FILE *f = fopen("/proc/meminfo", "r");

	if (!f)
		die("meminfo");
	while (fgets(line, sizeof(line), f))
		if (!strncmp(line, field, length) && line[length] == ':')
			kib = strtoull(line + length + 1, NULL, 10);
	fclose(f);
	return kib;
}

/* Counted by CPU, and folded once in a while; this empties the lists, too */
static void wait_locked(uint64_t kib)
{
	int try;

	for (try = 0; try < 100 && meminfo_kib("Mlocked") != kib; try++) {
		write_file("/proc/sys/vm/compact_memory", "1");
		usleep(20000);
	}
	same("Mlocked", meminfo_kib("Mlocked"), kib);
}

static void cannot_go_out(void)
{
	if (!madvise(area.addr, area.pages * PAGE, MADV_PAGEOUT))
		fail("locked memory can be paged out");
}

/* @arg: 0 mlock(), 1 mlock2() on fault, 2 mlockall() on fault */
static void lock(const uint64_t *arg)
{
	uint64_t locked = meminfo_kib("Mlocked"), vma = stat_of("fallback_vma"), i;

	set_up(PAGES, ALL_OUT);
	if (arg[0] == 0 ? mlock(area.addr, PAGES * PAGE) :
	    arg[0] == 1 ? (int)syscall(SYS_mlock2, area.addr, PAGES * PAGE, MLOCK_ONFAULT) :
			  mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT))
		die("lock");
	if (arg[0]) {
		expect("to be locked on a fault", 0, PAGES, SWAPPED);
		area_touch(&area, 1);
		expect("touched", 1, 1, DRAM);
		expect("not touched", 2, PAGES - 2, SWAPPED);
	}
	area_check(&area);
	expect("locked", 0, PAGES, DRAM);
	same("Locked", smaps_of(&area, "Locked"), PAGES * 4);
	same("fallback_vma", stat_of("fallback_vma") - vma, PAGES);
	same("lent_pages", stat_of("lent_pages"), 0);
	cannot_go_out();
	if (arg[0] == 2 ? munlockall() : munlock(area.addr, PAGES * PAGE))
		die("unlock");
	if (arg[0] != 2)
		wait_locked(locked);
	area_out(&area);
	for (i = 0; i < PAGES; i++)
		area_check_page(&area, i);
	expect("unlocked", 0, PAGES, LENT);
	rewrite();
}

/*
 * A lent page can't be paged out anyway. When it moves to DRAM it is locked there. @arg: 0 all of
 * them are lent, 1 half
 */
static void lock_lent(const uint64_t *arg)
{
	uint64_t locked = meminfo_kib("Mlocked");

	set_up(PAGES, arg[0] ? HALF_LENT : ALL_LENT);
	if (mlock(area.addr, PAGES * PAGE))
		die("mlock");
	area_check(&area);
	same("pages that are out", area_count(&area, SWAPPED), 0);
	same("Locked", smaps_of(&area, "Locked"), PAGES * 4);
	cannot_go_out();
	area_fill(&area, KIND_RANDOM);
	drain();
	expect("after drain", 0, PAGES, DRAM);
	area_check(&area);
	at_least("Mlocked", meminfo_kib("Mlocked"), locked);
	cannot_go_out();
	if (munlock(area.addr, PAGES * PAGE))
		die("munlock");
	wait_locked(locked);
	area_out(&area);
	rewrite();
}

/* Pages go from a locked VMA straight back; @arg: 1 by munmap(), 0 by exit, 2 by MADV_DONTNEED */
static void lock_gone(const uint64_t *arg)
{
	uint64_t locked = meminfo_kib("Mlocked");
	int status;
	pid_t pid;

	pid = fork();
	if (pid < 0)
		die("fork");
	if (!pid) {
		set_up(PAGES, ALL_LENT);
		if (mlock(area.addr, PAGES * PAGE))
			die("mlock");
		expect("locked", 0, PAGES, LENT);
		if (arg[0] == 2)
			if (munlock(area.addr, PAGES * PAGE) || mlock(area.addr, PAGES * PAGE))
				die("munlock and mlock");
		if (arg[0] == 1)
			area_free(&area);
		if (arg[0] == 1)
			wait_lent(0);
		_exit(EXIT_OK);
	}
	if (waitpid(pid, &status, 0) != pid)
		die("waitpid");
	same("status of the child", (uint64_t)status, 0);
	wait_lent(0);
	wait_locked(locked);
}

static void run_on(unsigned int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		die("sched_setaffinity");
}

/* A CPU that has copied locked pages for a write keeps them, while nobody there uses memory. */
static void lock_copied(const uint64_t *arg)
{
	int go[2], done[2];
	pid_t pid, child;
	char c = 0;

	(void)arg;
	if (pipe(go) || pipe(done))
		die("pipe");
	run_on(0);
	pid = fork();
	if (pid < 0)
		die("fork");
	if (!pid) {
		run_on(1);
		set_up(4, ALL_LENT);
		if (mlock(area.addr, 4 * PAGE))
			die("mlock");
		child = fork();
		if (child < 0)
			die("fork");
		if (!child) {
			run_on(0);
			if (read(go[0], &c, 1) != 1)
				die("read");
			_exit(EXIT_OK);
		}
		expect("locked", 0, 4, LENT);
		area_fill(&area, KIND_RANDOM);
		expect("written", 0, 4, DRAM);
		if (write(go[1], &c, 1) != 1 || waitpid(child, NULL, 0) != child)
			die("the child");
		if (write(done[1], &c, 1) != 1)
			die("write");
		pause();
	}
	if (read(done[0], &c, 1) != 1)
		die("read");
	drain();
	wait_lent(0);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

/* A locked page that a pipe keeps from moving counts as locked, but not once it is gone */
static void lock_pinned(const uint64_t *arg)
{
	struct iovec iov = { .iov_len = PAGE };
	uint64_t locked = meminfo_kib("Mlocked");
	int fd[2];

	(void)arg;
	set_up(PAGES, ALL_LENT);
	iov.iov_base = area_page(&area, 5);
	if (pipe(fd) || vmsplice(fd[1], &iov, 1, 0) != (ssize_t)PAGE)
		die("vmsplice");
	if (mlock(area.addr, PAGES * PAGE))
		die("mlock");
	if (drain_or_busy())
		fail("a page in a pipe has moved");
	expect("in a pipe", 5, 1, LENT);
	if (munlock(area.addr, PAGES * PAGE))
		die("munlock");
	close(fd[0]);
	close(fd[1]);
	area_check(&area);
	area_free(&area);
	wait_lent(0);
	wait_locked(locked);
}

/* ---- Accessed bits ---- */

/* KiB that were accessed, says smaps */
static void referenced(const char *when, uint64_t pages)
{
	uint64_t kib = smaps_of(&area, "Referenced");

	if (kib != pages * 4)
		fail("%s: Referenced is %" PRIu64 " KiB, not %" PRIu64, when, kib, pages * 4);
}

static void clear_accessed(void)
{
	write_file("/proc/self/clear_refs", "1");
	/* The CPU may remember for a while that it has set them; not if what it may do changes. */
	if (mprotect(area.addr, area.pages * PAGE, PROT_READ) ||
	    mprotect(area.addr, area.pages * PAGE, PROT_READ | PROT_WRITE))
		die("mprotect");
	referenced("cleared", 0);
}

/* ---- Pins ---- */

static pid_t pinner;
static int pin_error = -1;

/* A fixed buffer of io_uring, for as long as the process lives */
static void *pin_all(void *arg)
{
	struct io_uring_params params = {};
	struct iovec iov = { .iov_base = area.addr, .iov_len = area.pages * PAGE };
	int fd = (int)syscall(__NR_io_uring_setup, 1, &params);

	(void)arg;
	if (fd < 0)
		die("io_uring_setup");
	__atomic_store_n(&pinner, gettid(), __ATOMIC_SEQ_CST);
	if (syscall(__NR_io_uring_register, fd, IORING_REGISTER_BUFFERS, &iov, 1))
		__atomic_store_n(&pin_error, errno, __ATOMIC_SEQ_CST);
	else
		__atomic_store_n(&pin_error, 0, __ATOMIC_SEQ_CST);
	return NULL;
}

/* D while it waits in the kernel, for nothing that a signal ends */
static char state_of(pid_t tid)
{
	char path[64], state = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/self/task/%d/stat", tid);
	f = fopen(path, "r");
	if (!f || fscanf(f, "%*d (%*[^)]) %c", &state) != 1)
		state = 'X';
	if (f)
		fclose(f);
	return state;
}

/* Pages that somebody has for a moment only: who pins them for long waits */
static void pin_held(const uint64_t *arg)
{
	struct iovec iov = { .iov_len = PAGE };
	pthread_t thread;
	int fd[2];

	(void)arg;
	set_up(8, ALL_LENT);
	iov.iov_base = area_page(&area, 5);
	if (pipe(fd) || vmsplice(fd[1], &iov, 1, 0) != (ssize_t)PAGE)
		die("vmsplice");
	if (pthread_create(&thread, NULL, pin_all, NULL))
		die("pthread_create");
	while (!__atomic_load_n(&pinner, __ATOMIC_SEQ_CST) ||
	       (__atomic_load_n(&pin_error, __ATOMIC_SEQ_CST) < 0 && state_of(pinner) != 'D'))
		sched_yield();
	close(fd[0]);
	close(fd[1]);
	pthread_join(thread, NULL);
	same("error of the pin", (uint64_t)pin_error, 0);
	expect("pinned", 0, 8, DRAM);
	rewrite();
}

/* ---- Accessed bits ---- */

static void young(const uint64_t *arg)
{
	uint64_t i;

	(void)arg;
	set_up(PAGES, ALL_OUT);
	area_touch(&area, 0);
	same("Rss", smaps_of(&area, "Rss"), 16 * 4);
	referenced("a fault", 1);
	area_touch(&area, 0);
	referenced("no fault", 1);
	for (i = 1; i < 5; i++)
		area_touch(&area, i);
	referenced("neighbours", 5);
	*(volatile unsigned char *)area_page(&area, 16) =
		*(volatile unsigned char *)area_page(&area, 16);
	referenced("another window", 6);
	area_check(&area);
	referenced("all of them", PAGES);
	clear_accessed();
	for (i = 0; i < PAGES; i += 2)
		area_touch(&area, i);
	referenced("every other one", PAGES / 2);
	area_fill(&area, KIND_RANDOM);
	referenced("written", PAGES);
	clear_accessed();
	area_check(&area);
	referenced("read again", PAGES);
	drain();
	area_check(&area);
	referenced("in DRAM", PAGES);
}

static const struct test_case cases[] = {
	{ "dontneed", dontneed },
	{ "free", free_later },
	{ "fork", fork_with },
	{ "populate", populate },
	{ "willneed", willneed },
	{ "cold", cold },
	{ "collapse", collapse },
	{ "offline", take_away },
	{ "lock", lock },
	{ "lock-lent", lock_lent },
	{ "lock-gone", lock_gone },
	{ "lock-copied", lock_copied },
	{ "lock-pinned", lock_pinned },
	{ "pin-held", pin_held },
	{ "young", young },
	{}
};

int main(int argc, char **argv)
{
	return run_case(cases, argc, argv);
}
