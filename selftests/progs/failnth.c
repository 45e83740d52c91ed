// SPDX-License-Identifier: GPL-2.0-only
/*
 * Does one thing again and again, and has the kernel's first, second, third ... allocation on the
 * way fail, until it gets through without. Needs a kernel with fault injection.
 */

/**
 * DOC: commands
 *
 * failnth load MODULE.ko [PARAMETERS]	load a module; undone by unloading it
 * failnth write FILE VALUE [FILE VALUE]	write a value; undone by writing the other
 * failnth open FILE			open it, and read a page
 *
 * Each time it must either fail with ENOMEM (or ENOSPC, EAGAIN), or work; what worked is undone
 * first. Prints "FAILED WORKED": how often it failed and how often it didn't mind.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sys/syscall.h>

#include "common.h"

#define MOST	3000

static int argc_op;
static char **argv_op;
static char module[64];

static void set_nth(unsigned int n)
{
	char text[16];
	int fd = open("/proc/thread-self/fail-nth", O_WRONLY);
	int len = snprintf(text, sizeof(text), "%u", n);

	if (fd < 0 || write(fd, text, (size_t)len) != len)
		die("fail-nth");
	close(fd);
}

/* Opened before: that allocates, too */
static unsigned int get_nth(int fd)
{
	char text[16] = "";

	if (pread(fd, text, sizeof(text) - 1, 0) < 1)
		die("fail-nth");
	return (unsigned int)strtoul(text, NULL, 10);
}

/* Everything that user space needs is there before the operation. */
static int fd_op = -1;
static char *page;

static void prepare(void)
{
	const char *flags = argv_op[0];

	if (!strcmp(flags, "open"))
		return;
	fd_op = open(argv_op[1], !strcmp(flags, "load") ? O_RDONLY : O_WRONLY);
	if (fd_op < 0)
		die("%s", argv_op[1]);
}

static void finish(void)
{
	if (fd_op >= 0)
		close(fd_op);
	fd_op = -1;
}

static int operate(void)
{
	ssize_t ret;

	if (!strcmp(argv_op[0], "load"))
		return (int)syscall(SYS_finit_module, fd_op, argc_op > 2 ? argv_op[2] : "", 0);
	if (!strcmp(argv_op[0], "write"))
		return write(fd_op, argv_op[2], strlen(argv_op[2])) < 0 ? -1 : 0;
	fd_op = open(argv_op[1], O_RDONLY | O_DIRECT);
	if (fd_op < 0)
		return -1;
	ret = read(fd_op, page, PAGE);
	return ret < 0 ? -1 : 0;
}

static void undo(void)
{
	int fd;

	if (!strcmp(argv_op[0], "load")) {
		if (syscall(SYS_delete_module, module, O_NONBLOCK))
			die("unloading %s", module);
	} else if (!strcmp(argv_op[0], "write") && argc_op == 5) {
		fd = open(argv_op[3], O_WRONLY);
		if (fd < 0 || write(fd, argv_op[4], strlen(argv_op[4])) < 0)
			die("%s <- %s", argv_op[3], argv_op[4]);
		close(fd);
	}
}

int main(int argc, char **argv)
{
	unsigned int n, left, failed = 0, worked = 0;
	int fd, ret, err;
	char *dot;

	if (argc < 3) {
		fprintf(stderr, "usage: failnth load|write|open ...\n");
		return EXIT_SETUP;
	}
	argc_op = argc - 1;
	argv_op = argv + 1;
	dot = strrchr(argv[2], '/');
	snprintf(module, sizeof(module), "%s", dot ? dot + 1 : argv[2]);
	dot = strchr(module, '.');
	if (dot)
		*dot = '\0';
	if (posix_memalign((void **)&page, PAGE, PAGE))
		die("memory");
	memset(page, 0, PAGE);
	fd = open("/proc/thread-self/fail-nth", O_RDONLY);
	if (fd < 0)
		die("fail-nth");
	for (n = 1; n < MOST; n++) {
		prepare();
		set_nth(n);
		ret = operate();
		err = errno;
		left = get_nth(fd);
		set_nth(0);
		finish();
		if (!ret)
			undo();
		if (left && !ret) {
			printf("%u %u\n", failed, worked);
			return EXIT_OK;
		}
		if (left) {
			printf("allocation %u: %s, and nothing failed\n", n, strerrorname_np(err));
			return EXIT_WRONG_DATA;
		}
		if (!ret) {
			worked++;
			continue;
		}
		failed++;
		if (err != ENOMEM && err != ENOSPC && err != EAGAIN) {
			printf("allocation %u: %s\n", n, strerrorname_np(err));
			return EXIT_WRONG_DATA;
		}
	}
	printf("there is no end to it: %u %u\n", failed, worked);
	return EXIT_WRONG_DATA;
}
