// SPDX-License-Identifier: GPL-2.0-only
/*
 * Does one thing again and again, and has the kernel's first, second, third ... allocation on the
 * way fail, until it gets through without. Needs a kernel with fault injection.
 */

/**
 * DOC: commands
 *
 * failnth [-e ERROR] [-k FILE] [-n MOST] COMMAND
 *
 * -e: this one, too, is how it may fail
 * -k: what is in FILE must be the same before and after each failure
 * -n: not all of them, but about so many: every second, say, or third; the first one is random.
 *     (All of them if what worked isn't undone: there is one try that works, and none for counting)
 *
 * failnth load MODULE.ko [PARAMETERS]		load a module; undone by unloading it
 * failnth write FILE VALUE [FILE VALUE]...	write a value; undone by writing the others
 *
 * Each time it must either fail with ENOMEM (or ENOSPC, EAGAIN), or work; what worked is undone
 * first. Prints "FAILED WORKED": how often it failed and how often it didn't mind. If there was no
 * allocation that could fail, nothing was tried: that is an error.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sys/syscall.h>
#include <time.h>

#include "common.h"

/* More than there are */
#define MANY	1000000000U
#define TRIES	3000

static int argc_op;
static char **argv_op;	/* ends with NULL */
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

static void prepare(void)
{
	fd_op = open(argv_op[1], !strcmp(argv_op[0], "load") ? O_RDONLY : O_WRONLY);
	if (fd_op < 0)
		die("%s", argv_op[1]);
}

static void finish(void)
{
	close(fd_op);
}

static int operate(void)
{
	if (!strcmp(argv_op[0], "load"))
		return (int)syscall(SYS_finit_module, fd_op, argc_op > 2 ? argv_op[2] : "", 0);
	return write(fd_op, argv_op[2], strlen(argv_op[2])) < 0 ? -1 : 0;
}

static char *kept;

/* What is in the file that failures leave alone */
static void look(char *text, size_t size)
{
	ssize_t len;
	int fd;

	memset(text, 0, size);
	if (!kept)
		return;
	fd = open(kept, O_RDONLY);
	len = fd < 0 ? -1 : read(fd, text, size - 1);
	if (len < 0)
		die("%s", kept);
	close(fd);
}

static void undo(void)
{
	char **other;
	int fd;

	if (!strcmp(argv_op[0], "load")) {
		if (syscall(SYS_delete_module, module, O_NONBLOCK))
			die("unloading %s", module);
		return;
	}
	for (other = argv_op + 3; other[0] && other[1]; other += 2) {
		fd = open(other[0], O_WRONLY);
		if (fd < 0 || write(fd, other[1], strlen(other[1])) < 0)
			die("%s <- %s", other[0], other[1]);
		close(fd);
	}
}

static const char *also;

static bool may_be(int err)
{
	return err == ENOMEM || err == ENOSPC || err == EAGAIN ||
	       (also && !strcmp(also, strerrorname_np(err)));
}

static bool undoes(void)
{
	return !strcmp(argv_op[0], "load") || (argc_op > 3 && argv_op[3]);
}

/* How many allocations there are when none fails */
static unsigned int count_all(int fd)
{
	unsigned int left;
	int ret;

	prepare();
	set_nth(MANY);
	ret = operate();
	left = get_nth(fd);
	set_nth(0);
	if (ret)
		die("%s", argv_op[0]);
	finish();
	undo();
	return MANY - left;
}

int main(int argc, char **argv)
{
	unsigned int n, left, i, failed = 0, worked = 0;
	unsigned int most = 0, step = 1;
	char before[64], after[64];
	int fd, ret, err;
	char *dot;

	for (; argc > 2 && argv[1][0] == '-'; argc -= 2, argv += 2) {
		if (!strcmp(argv[1], "-e"))
			also = argv[2];
		else if (!strcmp(argv[1], "-k"))
			kept = argv[2];
		else if (!strcmp(argv[1], "-n"))
			most = (unsigned int)parse_number(argv[2]);
		else
			break;
	}
	if (argc < 3 || (strcmp(argv[1], "load") && (strcmp(argv[1], "write") || argc < 4))) {
		fprintf(stderr, "usage: failnth [-e ERROR] [-k FILE] [-n MOST] load MODULE.ko [PARAMETERS]|write FILE VALUE [FILE VALUE]...\n");
		return EXIT_SETUP;
	}
	argc_op = argc - 1;
	argv_op = argv + 1;
	dot = strrchr(argv[2], '/');
	snprintf(module, sizeof(module), "%s", dot ? dot + 1 : argv[2]);
	dot = strchr(module, '.');
	if (dot)
		*dot = '\0';
	fd = open("/proc/thread-self/fail-nth", O_RDONLY);
	if (fd < 0)
		die("fail-nth");
	n = 1;
	if (most && undoes()) {
		left = count_all(fd);
		step = left > most ? left / most : 1;
		n += (unsigned int)mix64((uint64_t)time(NULL)) % step;
		printf("%u allocations, every %uth from %u on: ", left, step, n);
		fflush(stdout);
	}
	for (i = 0; i < TRIES; i++, n += step) {
		look(before, sizeof(before));
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
			return failed + worked ? EXIT_OK : EXIT_WRONG_DATA;
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
		if (!may_be(err)) {
			printf("allocation %u: %s\n", n, strerrorname_np(err));
			return EXIT_WRONG_DATA;
		}
		look(after, sizeof(after));
		if (strcmp(before, after)) {
			printf("allocation %u: %s was %s, is %s\n", n, kept, before, after);
			return EXIT_WRONG_DATA;
		}
	}
	printf("there is no end to it: %u %u\n", failed, worked);
	return EXIT_WRONG_DATA;
}
