// SPDX-License-Identifier: GPL-2.0-only
/*
 * Pages of a file fail while they come to persistent memory and go.
 *
 * filefail FILE ROUNDS: while one thread pages the file out, and another has what is in pmem
 * dropped, pages of it in pmem (LENT_PFNS, see area.h) fail: one in each round, if there is one.
 * All of the file must read as it did, all the time: status 1 if not. Prints how many pages failed,
 * and how many of them were left to who has them.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "area.h"

#define DROP	"/sys/kernel/pmem_cachex/drop"

static unsigned char *map;
static size_t bytes;
static volatile bool stop;

static void *pager(void *arg)
{
	while (!stop)
		madvise(map, bytes, MADV_PAGEOUT);
	return arg;
}

static void *dropper(void *arg)
{
	int fd = open(DROP, O_WRONLY);

	if (fd < 0)
		die(DROP);
	/* Busy is fine: somebody reads a page. */
	while (!stop)
		if (write(fd, "1", 1) != 1 && errno != EBUSY)
			die(DROP);
	close(fd);
	return arg;
}

int main(int argc, char **argv)
{
	unsigned long rounds, round, failed = 0, left = 0;
	unsigned char *was, *is;
	pthread_t threads[2];
	uint64_t seed = 1;
	struct stat st;
	int fd;

	if (argc != 3) {
		fprintf(stderr, "filefail: FILE ROUNDS\n");
		return 2;
	}
	rounds = strtoul(argv[2], NULL, 0);
	fd = open(argv[1], O_RDONLY);
	if (fd < 0 || fstat(fd, &st))
		die("open");
	bytes = (size_t)st.st_size;
	was = malloc(bytes);
	is = malloc(bytes);
	map = mmap(NULL, bytes, PROT_READ, MAP_SHARED, fd, 0);
	if (!was || !is || map == MAP_FAILED || pread(fd, was, bytes, 0) != (ssize_t)bytes)
		die("set-up");
	if (pthread_create(&threads[0], NULL, pager, NULL) ||
	    pthread_create(&threads[1], NULL, dropper, NULL))
		die("thread");
	for (round = 0; round < rounds; round++) {
		unsigned long i, at = next_random(&seed) % (bytes / PAGE);
		uint64_t pfn = 0;

		if (memcmp(map, was, bytes))
			fail("round %lu: what is mapped is wrong", round);
		for (i = 0; i < bytes / PAGE && !pfn; i++)
			pfn = lent_pfn(map + (at + i) % (bytes / PAGE) * PAGE);
		if (pfn) {
			int err = hwpoison(pfn);

			/* It may be another page of the file by now, or on its way. */
			if (err && err != ENXIO && err != EHWPOISON)
				fail("round %lu: error %d", round, err);
			failed++;
			left += err == ENXIO;
		}
		if (pread(fd, is, bytes, 0) != (ssize_t)bytes || memcmp(is, was, bytes))
			fail("round %lu: what is read is wrong", round);
	}
	stop = true;
	pthread_join(threads[0], NULL);
	pthread_join(threads[1], NULL);
	printf("%lu %lu\n", failed, left);
	return 0;
}
