// SPDX-License-Identifier: GPL-2.0-only
/*
 * wr FILE VALUE: one write(2) of VALUE to a sysfs file; prints "0" or the error's name.
 * wr -n FILE VALUE: without the newline; -0: an empty write.
 */
#define _GNU_SOURCE
#include <fcntl.h>

#include "common.h"

int main(int argc, char **argv)
{
	bool newline = true, empty = false;
	char text[8192];
	ssize_t ret;
	int fd, n, c;

	while ((c = getopt(argc, argv, "n0")) != -1) {
		newline = false;
		empty |= c == '0';
	}
	if (argc - optind != 2) {
		fputs("usage: wr [-n|-0] FILE VALUE\n", stderr);
		return EXIT_SETUP;
	}
	n = snprintf(text, sizeof(text), "%s%s", argv[optind + 1],
		     newline ? "\n" : "");
	if (n < 0 || n >= (int)sizeof(text))
		return EXIT_SETUP;
	fd = open(argv[optind], O_WRONLY);
	if (fd < 0) {
		printf("open %s\n", strerrorname_np(errno));
		return EXIT_OK;
	}
	ret = write(fd, text, empty ? 0 : (size_t)n);
	puts(ret < 0 ? strerrorname_np(errno) : "0");
	return EXIT_OK;
}
