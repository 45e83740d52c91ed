// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a page of a file costs: read, mapped and touched, unmapped, evicted.
 *
 * The file is what "cacheload fill" makes: the first word of each page is its number, and that
 * is looked at. What is in memory, and where, is the caller's business.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>

#include "common.h"

static unsigned char *map;
static uint64_t pages;
static uint64_t step;		/* of the order at random */
static int fd;

static uint64_t now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

/* Nanoseconds, which are instructions where the clock counts them */
static void result(const char *row, uint64_t ns)
{
	printf("%s %" PRIu64 " %" PRIu64 "\n", row, pages, ns);
}

static void is_page(const void *at, uint64_t index)
{
	if (*(const volatile uint64_t *)at == index)
		return;
	fprintf(stderr, "page %" PRIu64 " is %" PRIu64 "\n", index, *(const uint64_t *)at);
	exit(EXIT_WRONG_DATA);
}

static void read_page(uint64_t index)
{
	static unsigned char buffer[PAGE] __attribute__((aligned(PAGE)));

	if (pread(fd, buffer, PAGE, (off_t)(index * PAGE)) != (ssize_t)PAGE)
		die("page %" PRIu64, index);
	is_page(buffer, index);
}

static void run_read(void)
{
	uint64_t start = now(), i;

	for (i = 0; i < pages; i++)
		read_page(i);
	result("read", now() - start);
}

/* Each page once: an odd step modulo a power of two visits all */
static void run_scattered(void)
{
	uint64_t mask = 1, at = 0, done = 0, start;

	if (posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM))
		die("POSIX_FADV_RANDOM");
	while (mask < pages)
		mask <<= 1;
	start = now();
	for (mask--; done < pages; at = (at + step) & mask) {
		if (at >= pages)
			continue;
		read_page(at);
		done++;
	}
	result("scattered", now() - start);
}

static void touch(void)
{
	uint64_t i;

	for (i = 0; i < pages; i++)
		is_page(map + i * PAGE, i);
}

static void run_map(void)
{
	uint64_t start = now();

	touch();
	result("map", now() - start);
	start = now();
	if (munmap(map, pages * PAGE))
		die("munmap");
	result("unmap", now() - start);
}

static void run_evict(void)
{
	uint64_t start;

	/* It takes mapped pages only */
	touch();
	start = now();
	if (madvise(map, pages * PAGE, MADV_PAGEOUT))
		die("MADV_PAGEOUT");
	result("evict", now() - start);
}

/* What the kernel's copy of a page takes at least */
static void run_copy(void)
{
	static unsigned char to[PAGE] __attribute__((aligned(PAGE)));
	uint64_t start, i;

	touch();
	start = now();
	for (i = 0; i < pages; i++) {
		unsigned long words = PAGE_WORDS;
		void *dst = to, *src = map + i * PAGE;

		asm volatile("rep movsq" : "+c" (words), "+D" (dst), "+S" (src) : : "memory");
	}
	result("copy", now() - start);
	is_page(to, pages - 1);
}

static const struct {
	const char *name;
	void (*run)(void);
} modes[] = {
	{ "read", run_read },
	{ "scattered", run_scattered },
	{ "map", run_map },
	{ "evict", run_evict },
	{ "copy", run_copy },
};

int main(int argc, char **argv)
{
	struct stat st;
	size_t i;

	if (argc != 4) {
		fputs("usage: filebench FILE read|scattered|map|evict|copy SEED\n", stderr);
		return EXIT_SETUP;
	}
	fd = open(argv[1], O_RDONLY);
	if (fd < 0 || fstat(fd, &st))
		die("%s", argv[1]);
	pages = (uint64_t)st.st_size / PAGE;
	step = mix64(parse_number(argv[3])) | 1;
	map = mmap(NULL, pages * PAGE, PROT_READ, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED)
		die("mmap");
	for (i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		if (strcmp(argv[2], modes[i].name))
			continue;
		modes[i].run();
		return EXIT_OK;
	}
	fprintf(stderr, "filebench: %s?\n", argv[2]);
	return EXIT_SETUP;
}
