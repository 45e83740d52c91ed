// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a page of a file costs: read, mapped and touched, unmapped, evicted.
 *
 *	filebench FILE read|scattered|map|evict [SEED]
 *
 * Prints nanoseconds for each page, which are instructions where the clock counts them. What
 * is in memory, and where, is the caller's business.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define PAGE	4096L

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1e9 + ts.tv_nsec;
}

static uint64_t next(uint64_t *x)
{
	*x ^= *x << 13;
	*x ^= *x >> 7;
	*x ^= *x << 17;
	return *x;
}

int main(int argc, char **argv)
{
	uint64_t random = 88172645463325252ULL;
	static char buf[PAGE];
	volatile char *map;
	double start, mapped;
	struct stat st;
	long pages, i;
	int fd;

	if (argc < 3)
		return 2;
	if (argc > 3)
		random ^= strtoul(argv[3], NULL, 0) << 20;
	fd = open(argv[1], O_RDONLY);
	if (fd < 0 || fstat(fd, &st))
		return 1;
	pages = st.st_size / PAGE;
	map = mmap(NULL, st.st_size, PROT_READ, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED)
		return 1;
	start = now();
	if (!strcmp(argv[2], "read")) {
		for (i = 0; i < pages; i++)
			if (pread(fd, buf, PAGE, i * PAGE) != PAGE)
				return 1;
		printf("read %.0f\n", (now() - start) / pages);
	} else if (!strcmp(argv[2], "scattered")) {
		for (i = 0; i < pages; i++)
			if (pread(fd, buf, PAGE, (long)(next(&random) % pages) * PAGE) != PAGE)
				return 1;
		printf("scattered %.0f\n", (now() - start) / pages);
	} else if (!strcmp(argv[2], "map")) {
		for (i = 0; i < pages; i++)
			(void)map[i * PAGE];
		mapped = now();
		munmap((void *)map, st.st_size);
		printf("map %.0f unmap %.0f\n", (mapped - start) / pages,
		       (now() - mapped) / pages);
	} else if (!strcmp(argv[2], "evict")) {
		/* It takes mapped pages, and not those that were touched just now. */
		for (i = 0; i < pages; i++)
			(void)map[i * PAGE];
		start = now();
		if (madvise((void *)map, st.st_size, MADV_PAGEOUT))
			return 1;
		printf("evict %.0f\n", (now() - start) / pages);
	}
	return 0;
}
