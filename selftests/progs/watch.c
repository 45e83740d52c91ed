// SPDX-License-Identifier: GPL-2.0-only
/*
 * Reads files with a number, over and over until stdin ends; tells the most that all together and
 * each of them have been.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>

#include "common.h"

#define MAX_FILES	16

static uint64_t read_number(int fd, const char *path)
{
	char text[32];
	ssize_t n = pread(fd, text, sizeof(text) - 1, 0);

	if (n <= 0)
		die("%s", path);
	text[n] = '\0';
	return strtoull(text, NULL, 10);
}

int main(int argc, char **argv)
{
	uint64_t value, sum, most[MAX_FILES] = {}, most_sum = 0, samples = 0;
	struct pollfd end = { .fd = STDIN_FILENO, .events = POLLIN };
	int fd[MAX_FILES], nr = argc - 1, i;

	if (nr < 1 || nr > MAX_FILES) {
		fprintf(stderr, "usage: watch FILE...\n");
		return EXIT_SETUP;
	}
	for (i = 0; i < nr; i++) {
		fd[i] = open(argv[i + 1], O_RDONLY);
		if (fd[i] < 0)
			die("%s", argv[i + 1]);
	}
	for (; !poll(&end, 1, 0); samples++) {
		for (i = 0, sum = 0; i < nr; i++) {
			value = read_number(fd[i], argv[i + 1]);
			sum += value;
			if (value > most[i])
				most[i] = value;
		}
		if (sum > most_sum)
			most_sum = sum;
	}
	printf("%" PRIu64 " %" PRIu64, samples, most_sum);
	for (i = 0; i < nr; i++)
		printf(" %" PRIu64, most[i]);
	putchar('\n');
	return EXIT_OK;
}
