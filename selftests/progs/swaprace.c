// SPDX-License-Identifier: GPL-2.0-only
/*
 * Swap on and off, unbind and bind, open and read: all at the same time.
 *
 * swaprace NAMESPACE DEVICE ROUNDS: ROUNDS swapons that succeed. The others go on
 * meanwhile. Any error that isn't a normal answer to losing a race, and any swap on
 * a device that is gone, makes the status 1. At the end swap is off and the namespace
 * bound. Prints how often each had its way.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/swap.h>

#include "common.h"

#define DRIVER	"/sys/bus/nd/drivers/pmem_tier/"

static const char *namespace, *device;
static volatile bool stop;
static unsigned long swapons, unbinds, binds, opens, refused, wrong;

static void surprise(const char *what, int err)
{
	fprintf(stderr, "%s: %s\n", what, err ? strerrorname_np(err) : "unexpected");
	__atomic_add_fetch(&wrong, 1, __ATOMIC_RELAXED);
}

static int write_name(const char *file)
{
	int fd = open(file, O_WRONLY);
	int err = 0;

	if (fd < 0)
		die("%s", file);
	if (write(fd, namespace, strlen(namespace)) < 0)
		err = errno;
	close(fd);
	return err;
}

/* True if a swap device is active; one that is deleted is never right. */
static bool swap_active(void)
{
	FILE *f = fopen("/proc/swaps", "r");
	bool active = false;
	char line[512];

	if (!f)
		die("/proc/swaps");
	while (fgets(line, sizeof(line), f)) {
		if (strstr(line, "deleted"))
			surprise(line, 0);
		active |= !!strstr(line, device);
	}
	fclose(f);
	return active;
}

static void *unbinder(void *arg)
{
	int err;

	while (!stop) {
		err = write_name(DRIVER "unbind");
		if (!err) {
			unbinds++;
			if (swap_active())
				surprise("unbound, and swap is active", 0);
			err = write_name(DRIVER "bind");
			if (err)
				surprise("bind after unbind", err);
			else
				binds++;
		} else if (err == EBUSY) {
			refused++;
		} else {
			surprise("unbind", err);
		}
	}
	return arg;
}

static void *opener(void *arg)
{
	char page[PAGE];
	int fd;

	/*
	 * Files of its own: who unbinds may have the device open itself, as ndctl
	 * has, and a file in the table that it shares with this thread would pass for that.
	 */
	if (unshare(CLONE_FILES))
		die("unshare");
	while (!stop) {
		fd = open(device, O_RDONLY);
		if (fd < 0) {
			if (errno != ENOENT && errno != ENXIO && errno != ENODEV)
				surprise("open", errno);
			continue;
		}
		opens++;
		if (pread(fd, page, PAGE, 0) != (ssize_t)PAGE)
			surprise("read", errno);
		else if (memcmp(page + PAGE - 10, "SWAPSPACE2", 10))
			surprise("no swap header", 0);
		close(fd);
		usleep(300);	/* or nobody else ever gets it */
	}
	return arg;
}

/* Some data of our own goes out to it and comes back. */
static void use_swap(unsigned int round)
{
	enum { PAGES = 64 };
	unsigned char *data = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE,
				   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	unsigned int i;

	if (data == MAP_FAILED)
		die("mmap");
	for (i = 0; i < PAGES; i++)
		page_fill(data + i * PAGE, round, i, 1, KIND_MIXED);
	madvise(data, PAGES * PAGE, MADV_PAGEOUT);
	for (i = 0; i < PAGES; i++)
		wrong += page_check(data + i * PAGE, round, i, 1, KIND_MIXED);
	munmap(data, PAGES * PAGE);
}

int main(int argc, char **argv)
{
	pthread_t threads[2];
	unsigned int rounds;

	if (argc != 4) {
		fputs("usage: swaprace NAMESPACE DEVICE ROUNDS\n", stderr);
		return EXIT_SETUP;
	}
	namespace = argv[1];
	device = argv[2];
	rounds = (unsigned int)parse_number(argv[3]);
	errno = pthread_create(&threads[0], NULL, unbinder, NULL);
	if (!errno)
		errno = pthread_create(&threads[1], NULL, opener, NULL);
	if (errno)
		die("pthread_create");

	while (swapons < rounds) {
		if (swapon(device, 0)) {
			if (errno != ENOENT && errno != ENXIO &&
			    errno != ENODEV && errno != EBUSY)
				surprise("swapon", errno);
			continue;
		}
		if (!swap_active())
			surprise("swapon succeeded, and nothing is active", 0);
		use_swap((unsigned int)swapons);
		if (swapoff(device))
			surprise("swapoff", errno);
		swapons++;
	}
	stop = true;
	pthread_join(threads[0], NULL);
	pthread_join(threads[1], NULL);
	printf("swapons %lu, unbinds %lu, refused %lu, binds %lu, opens %lu, wrong %lu\n",
	       swapons, unbinds, refused, binds, opens, wrong);
	return wrong ? EXIT_WRONG_DATA : EXIT_OK;
}
