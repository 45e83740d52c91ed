// SPDX-License-Identifier: GPL-2.0-only
/*
 * A part of a file is punched, truncated or written directly while its folio is evicted.
 *
 * evictrace WHAT FILE ROUNDS: WHAT is punch, truncate or direct. Each round writes the file, as one
 * folio where the filesystem can, and cleans it; one thread has it paged out, the other does WHAT
 * to the second half, at a random moment of that. Then all of it must read as it should: status 1
 * if not. Prints how many rounds there were.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/falloc.h>
#include <pthread.h>
#include <sys/mman.h>
#include <time.h>

#include "common.h"

#define SIZE	(256UL << 10)
#define HALF	(SIZE / 2)

/* Where page tables begin: a folio in two of them isn't paged out by name. */
#define ALIGN	(2UL << 20)

static int file, direct;
static void *place;
static unsigned char *map, *buffer, *write_half;
static uint64_t took_ns;	/* the last paging out */
static pthread_barrier_t barrier;

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ULL + t.tv_nsec;
}

static void *evictor(void *arg)
{
	for (;;) {
		uint64_t start;

		pthread_barrier_wait(&barrier);
		start = now_ns();
		/* It may find nothing, or somebody else at it */
		madvise(map, SIZE, MADV_PAGEOUT);
		took_ns = now_ns() - start;
		pthread_barrier_wait(&barrier);
	}
	return arg;
}

static void punch(void)
{
	if (fallocate(file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, HALF, HALF))
		die("punch");
}

static void cut(void)
{
	if (ftruncate(file, HALF) || ftruncate(file, SIZE))
		die("truncate");
}

static void write_direct(void)
{
	if (pwrite(direct, write_half, HALF, HALF) != (ssize_t)HALF)
		die("direct write");
}

/* One large folio of it, clean, and mapped, so that it can be named for paging out */
static void set_up(unsigned char value)
{
	memset(buffer, value, SIZE);
	if (ftruncate(file, 0) || pwrite(file, buffer, SIZE, 0) != (ssize_t)SIZE)
		die("write");
	if (fdatasync(file))
		die("sync");
	map = mmap(place, SIZE, PROT_READ, MAP_SHARED | MAP_FIXED, file, 0);
	if (map == MAP_FAILED || madvise(map, SIZE, MADV_POPULATE_READ))
		die("map");
}

static size_t wrong_bytes(size_t from, size_t to, unsigned char value)
{
	size_t i, wrong = 0;

	for (i = from; i < to; i++)
		wrong += buffer[i] != value;
	return wrong;
}

static size_t check(unsigned char first, unsigned char second)
{
	size_t wrong = 0;

	/* What is mapped, and what is read, as often as it takes to read it from the disk too */
	memcpy(buffer, map, SIZE);
	wrong += wrong_bytes(0, HALF, first) + wrong_bytes(HALF, SIZE, second);
	if (pread(file, buffer, SIZE, 0) != (ssize_t)SIZE)
		die("read");
	wrong += wrong_bytes(0, HALF, first) + wrong_bytes(HALF, SIZE, second);
	munmap(map, SIZE);
	return wrong;
}

int main(int argc, char **argv)
{
	unsigned long round, rounds, wrong_rounds = 0;
	uint64_t undisturbed_ns = 0, random = 1;
	void (*what)(void) = NULL;
	unsigned char half = 0;
	pthread_t thread;

	if (argc == 4) {
		what = !strcmp(argv[1], "punch") ? punch :
		       !strcmp(argv[1], "truncate") ? cut :
		       !strcmp(argv[1], "direct") ? write_direct : NULL;
	}
	if (!what) {
		fputs("usage: evictrace punch|truncate|direct FILE ROUNDS\n", stderr);
		return EXIT_SETUP;
	}
	rounds = strtoul(argv[3], NULL, 10);
	file = open(argv[2], O_RDWR | O_CREAT | O_TRUNC, 0600);
	direct = open(argv[2], O_RDWR | O_DIRECT);
	if (file < 0 || direct < 0)
		die("%s", argv[2]);
	place = mmap(NULL, 2 * ALIGN, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (place == MAP_FAILED)
		die("map");
	place = (void *)(((uintptr_t)place + ALIGN - 1) / ALIGN * ALIGN);
	buffer = malloc(SIZE);
	write_half = aligned_alloc(PAGE, HALF);
	if (!buffer || !write_half)
		die("memory");
	if (what == write_direct)
		half = 0x77;
	memset(write_half, half, HALF);
	pthread_barrier_init(&barrier, NULL, 2);
	if (pthread_create(&thread, NULL, evictor, NULL))
		die("thread");
	for (round = 0; round < rounds; round++) {
		unsigned char value = 0x80 | round;
		uint64_t until;
		size_t wrong;

		set_up(value);
		pthread_barrier_wait(&barrier);
		if (round % 16) {
			until = now_ns() + next_random(&random) % undisturbed_ns;
			while (now_ns() < until)
				;
			what();
			pthread_barrier_wait(&barrier);
		} else {
			/* How long does it take if nobody disturbs it? */
			pthread_barrier_wait(&barrier);
			undisturbed_ns = took_ns;
			what();
		}
		wrong = check(value, half);
		if (wrong && !wrong_rounds++)
			fprintf(stderr, "round %lu: %zu wrong bytes\n", round, wrong);
	}
	printf("evictrace: %lu rounds, wrong %lu\n", round, wrong_rounds);
	return wrong_rounds ? EXIT_WRONG_DATA : EXIT_OK;
}
