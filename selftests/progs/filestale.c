// SPDX-License-Identifier: GPL-2.0-only
/*
 * No thread reads what was in a page before another wrote to it, though the page has moved to
 * persistent memory in between.
 *
 * filestale FILE ROUNDS [large]: FILE is on a target of pmem_cachex. In each round one thread pages
 * a part of it out; one writes to its first page as soon as that isn't mapped any more, and then
 * says so; and one that has read the page now and then reads it again then. Status 1 if that is
 * what was there before. Prints in how many rounds the page was in persistent memory.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/mman.h>

#include "area.h"

/* Reclaim flushes TLBs once for some of them */
#define PART	(64 * PAGE)

/* A TLB forgets in a while; but a fault keeps the page from being evicted, so not all the time. */
#define LOOK_EVERY	3000

#define WRITTEN	0x5752495454454eul

static unsigned char *map;
static atomic_ulong round_nr, looked, paged, written, read_back;
static atomic_ulong stale;
static _Atomic bool stop;

static unsigned char *part(unsigned long nr)
{
	return map + (nr - 1) * PART;
}

static _Atomic unsigned long *word(unsigned long nr)
{
	return (_Atomic unsigned long *)part(nr);
}

static void *reader(void *arg)
{
	unsigned long nr, done = 0, i;

	while (!stop) {
		nr = atomic_load(&round_nr);
		if (nr == done)
			continue;
		atomic_load(word(nr));
		atomic_store(&looked, nr);
		for (i = 1; atomic_load(&written) != nr; i++)
			if (i % LOOK_EVERY == 0)
				atomic_load(word(nr));
		if (atomic_load(word(nr)) != WRITTEN)
			atomic_fetch_add(&stale, 1);
		atomic_store(&read_back, nr);
		done = nr;
	}
	return arg;
}

static void *pager(void *arg)
{
	unsigned long done = 0, nr;

	while (!stop) {
		nr = atomic_load(&looked);
		if (nr == done)
			continue;
		if (madvise(part(nr), PART, MADV_PAGEOUT))
			die("madvise");
		done = nr;
		atomic_store(&paged, nr);
	}
	return arg;
}

static void wait_for(atomic_ulong *what, unsigned long nr)
{
	while (atomic_load(what) != nr)
		sched_yield();
}

/* On disk, and in DRAM in folios as large as what is written at a time */
static void new_file(const char *path, unsigned long rounds, size_t at_a_time)
{
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
	static unsigned char data[PART];
	size_t done;

	if (fd < 0)
		die("%s", path);
	memset(data, 1, sizeof(data));
	for (done = 0; done < rounds * PART; done += at_a_time)
		if (write(fd, data, at_a_time) != (ssize_t)at_a_time)
			die("write");
	if (fsync(fd))
		die("fsync");
	map = mmap(NULL, rounds * PART, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED)
		die("mmap");
	close(fd);
}

int main(int argc, char **argv)
{
	unsigned long rounds, nr, lent = 0;
	pthread_t threads[2];
	size_t i;

	if (argc != 3 && (argc != 4 || strcmp(argv[3], "large"))) {
		fprintf(stderr, "filestale: FILE ROUNDS [large]\n");
		return 2;
	}
	rounds = strtoul(argv[2], NULL, 0);
	new_file(argv[1], rounds, argc == 4 ? PART : PAGE);
	if (pthread_create(&threads[0], NULL, reader, NULL) ||
	    pthread_create(&threads[1], NULL, pager, NULL))
		die("thread");
	for (nr = 1; nr <= rounds; nr++) {
		for (i = 0; i < PART; i += PAGE)
			*(volatile unsigned char *)(part(nr) + i);
		atomic_store(&round_nr, nr);
		wait_for(&looked, nr);
		/* Busy, it isn't paged out. */
		while (pagemap_of(part(nr)) & PM_PRESENT && atomic_load(&paged) != nr)
			;
		atomic_store(word(nr), WRITTEN);
		atomic_store(&written, nr);
		lent += !!lent_pfn(part(nr));
		wait_for(&read_back, nr);
	}
	stop = true;
	pthread_join(threads[0], NULL);
	pthread_join(threads[1], NULL);
	if (stale)
		fail("in %lu rounds what was there before was read (%lu times in pmem)",
		     atomic_load(&stale), lent);
	printf("%lu\n", lent);
	return 0;
}
