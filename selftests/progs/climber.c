// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tries to have more memory than its cgroup may: maps, pages out, faults back, forks, pins, drains,
 * changes to other cgroups. Counts what it has in a file, for after it was killed.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <getopt.h>
#include <linux/io_uring.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include "area.h"

#define STEP		64	/* pages that it takes at a time */
#define MAX_CGROUPS	4
#define MAX_RINGS	16
#define ROOM		65536

/*
 * In the file that outlives it. A page counts from when it was written until it is given up; shared
 * pages count once.
 */
struct tally {
	uint64_t now;
	uint64_t most;
	uint64_t steps;
};

static struct {
	uint64_t pages;		/* stop there; 0: never */
	uint64_t seed;
	bool pageout;		/* what it has, and read it back */
	bool forks;		/* children that write all of it */
	bool drains;
	bool pins;		/* for a long term */
	unsigned int checks;	/* at least what it has is charged, says each of the cgroups */
	const char *cgroup[MAX_CGROUPS];
	unsigned int cgroups;
} opt = { .seed = 1 };

static struct tally *tally;
static uint64_t generator;
static struct area area;	/* grows and shrinks within its room */
static int rings[MAX_RINGS], nr_rings;

static void count(int64_t pages)
{
	uint64_t now = __atomic_add_fetch(&tally->now, (uint64_t)pages, __ATOMIC_RELAXED);
	uint64_t most = __atomic_load_n(&tally->most, __ATOMIC_RELAXED);

	while (now > most && !__atomic_compare_exchange_n(&tally->most, &most, now, true,
							  __ATOMIC_RELAXED, __ATOMIC_RELAXED))
		;
}

static uint64_t number_in(const char *dir, const char *name)
{
	char path[256], text[32];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_RDONLY);
	n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	if (n <= 0)
		die("%s", path);
	text[n] = '\0';
	close(fd);
	return strtoull(text, NULL, 10);
}

/* Nothing it has is charged to nobody. Nobody else moves pages meanwhile. */
static void check_charged(void)
{
	uint64_t charged = 0, has = tally->now * PAGE;
	unsigned int i;

	for (i = 0; i < opt.cgroups; i++)
		charged += number_in(opt.cgroup[i], "memory.current") +
			   number_in(opt.cgroup[i], "memory.swap.current");
	if (charged < has)
		fail("it has %" PRIu64 " bytes, and %" PRIu64 " are charged", has, charged);
}

static void change_cgroup(void)
{
	char path[256];

	if (opt.cgroups < 2)
		return;
	snprintf(path, sizeof(path), "%s/cgroup.procs",
		 opt.cgroup[next_random(&generator) % opt.cgroups]);
	write_file(path, "0");
}

/* Pinned pages may be in the way, and a cgroup without room */
static void try_drain(void)
{
	char path[256];
	int fd;

	snprintf(path, sizeof(path), "%s/drain", getenv("LENT_STATS"));
	fd = open(path, O_WRONLY);
	if (fd < 0 || (write(fd, "1", 1) != 1 && errno != EBUSY))
		die("drain");
	close(fd);
}

/* Fixed buffers, kept */
static void pin(uint64_t first, uint64_t count)
{
	struct io_uring_params params = {};
	struct iovec iov = { .iov_base = area_page(&area, first), .iov_len = count * PAGE };
	int fd;

	if (nr_rings == MAX_RINGS)
		return;
	fd = (int)syscall(__NR_io_uring_setup, 1, &params);
	if (fd < 0)
		return;
	if (syscall(__NR_io_uring_register, fd, IORING_REGISTER_BUFFERS, &iov, 1))
		close(fd);
	else
		rings[nr_rings++] = fd;
}

static void check_some(uint64_t max)
{
	uint64_t i;

	for (i = 0; i < max && area.pages; i++)
		area_check_page(&area, next_random(&generator) % area.pages);
}

static void page_out(void)
{
	if (area.pages && madvise(area.addr, area.pages * PAGE, MADV_PAGEOUT))
		die("MADV_PAGEOUT");
}

/* Its pages are its own: they count from when it writes them until it is gone */
static void be_child(uint64_t share)
{
	uint64_t i;

	change_cgroup();
	if (opt.pageout)
		page_out();
	for (i = 0; i < area.pages; i++) {
		if (next_random(&generator) % 100 >= share)
			continue;
		area_write(&area, i, KIND_RANDOM);
		count(1);
	}
	if (opt.pageout)
		page_out();
	area_check(&area);
}

/* One that stays, or one that is gone when this returns */
static void fork_child(bool stays)
{
	uint64_t before = tally->now;
	int ready[2], status;
	pid_t pid;
	char byte;

	if (pipe(ready))
		die("pipe");
	pid = fork();
	if (pid < 0)
		return;
	if (!pid) {
		close(ready[0]);
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		generator ^= (uint64_t)getpid();
		be_child(stays ? 100 : 30);
		if (write(ready[1], "", 1) != 1)
			die("pipe");
		if (stays)
			pause();
		_exit(EXIT_OK);
	}
	close(ready[1]);
	if (read(ready[0], &byte, 1) != 1) {
		/* Killed, because another cgroup than the parent's is full: that is the end. */
		if (!opt.pages)
			raise(SIGKILL);
		fail("a child ended early");
	}
	close(ready[0]);
	if (stays)
		return;
	if (waitpid(pid, &status, 0) != pid)
		die("waitpid");
	same("status of a child", (uint64_t)status, 0);
	count((int64_t)(before - tally->now));
}

static void step(void)
{
	uint64_t i;

	if (area.pages + STEP > ROOM)
		fail("nobody stops it");
	if (!opt.pages || tally->now + STEP <= opt.pages) {
		for (i = 0; i < STEP; i++) {
			area_write(&area, area.pages, KIND_RANDOM);
			area.pages++;
			count(1);
		}
	} else if (area.pages > STEP && !opt.forks) {
		/* Enough: give some up, written or not */
		area.pages -= STEP;
		for (i = 0; i < STEP; i++)
			area.model[area.pages + i].version = 0;
		count(-STEP);
		if (madvise(area_page(&area, area.pages), STEP * PAGE, MADV_DONTNEED))
			die("MADV_DONTNEED");
	}
	if (opt.pageout && next_random(&generator) % 4 == 0) {
		page_out();
		check_some(next_random(&generator) % 200);
	}
	if (opt.pins && next_random(&generator) % 8 == 0)
		pin(next_random(&generator) % (area.pages - STEP + 1), STEP);
	if (opt.drains && next_random(&generator) % 8 == 0)
		try_drain();
	if (next_random(&generator) % 4 == 0)
		change_cgroup();
	for (i = 0; i < STEP / 4; i++)
		area_write(&area, next_random(&generator) % area.pages, KIND_RANDOM);
	tally->steps++;
}

static void parse(int argc, char **argv)
{
	int c;

	while ((c = getopt(argc, argv, "n:s:ofdpc:g:")) >= 0) {
		switch (c) {
		case 'n':
			opt.pages = parse_size(optarg) / PAGE;
			break;
		case 's':
			opt.seed = parse_number(optarg);
			break;
		case 'o':
			opt.pageout = true;
			break;
		case 'f':
			opt.forks = true;
			break;
		case 'd':
			opt.drains = true;
			break;
		case 'p':
			opt.pins = true;
			break;
		case 'c':
			opt.checks = (unsigned int)parse_number(optarg);
			break;
		case 'g':
			if (opt.cgroups < MAX_CGROUPS)
				opt.cgroup[opt.cgroups++] = optarg;
			break;
		default:
			exit(EXIT_SETUP);
		}
	}
	if (optind + 1 != argc) {
		fprintf(stderr, "usage: climber [-n SIZE] [-s SEED] [-ofdp] [-c STEPS] %s\n",
			"[-g CGROUP]... FILE");
		exit(EXIT_SETUP);
	}
}

int main(int argc, char **argv)
{
	int fd;

	parse(argc, argv);
	fd = open(argv[optind], O_RDWR);
	if (fd < 0)
		die("%s", argv[optind]);
	tally = mmap(NULL, sizeof(*tally), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (tally == MAP_FAILED)
		die("mmap");
	generator = opt.seed;
	area_new(&area, ROOM, 0);
	area.pages = 0;
	for (;;) {
		step();
		if (opt.checks && tally->steps % 4 == 0)
			check_charged();
		/* A child has at most as much as it has itself. */
		if (opt.forks && tally->steps % 8 == 0 &&
		    (!opt.pages || tally->now + area.pages <= opt.pages))
			fork_child(!opt.pages || tally->steps % 16 == 0);
		if (opt.checks && tally->steps >= opt.checks)
			break;
	}
	area_check(&area);
	check_charged();
	printf("had up to %" PRIu64 " pages in %" PRIu64 " steps\n", tally->most, tally->steps);
	return EXIT_OK;
}
