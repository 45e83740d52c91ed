/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * For test programs: what the kernel has said since one last looked.
 */
#ifndef _SELFTESTS_KMSG_H
#define _SELFTESTS_KMSG_H

#include <fcntl.h>

#include "common.h"

#define KMSG_ERR	3

/* Opens the log at its end. */
static inline int kmsg_open(void)
{
	int fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0 || lseek(fd, 0, SEEK_END) < 0)
		die("/dev/kmsg");
	return fd;
}

/*
 * The next line of the kernel's that is an error or worse and begins with @prefix: returns true
 * and leaves it, as /dev/kmsg escapes it, in @line. False when there is none any more.
 */
static inline bool kmsg_next_error(int fd, const char *prefix, char *line, size_t size)
{
	char record[16384], *text, *end;
	unsigned int prio;
	ssize_t len;

	for (;;) {
		len = read(fd, record, sizeof(record) - 1);
		if (len < 0 && errno == EAGAIN)
			return false;
		/* Overwritten before it was read: go on with what is there. */
		if (len < 0 && errno == EPIPE)
			continue;
		if (len < 0)
			die("read of /dev/kmsg");
		record[len] = '\0';
		text = strchr(record, ';');
		if (!text || sscanf(record, "%u,", &prio) != 1)
			continue;
		text++;
		end = strchr(text, '\n');
		if (end)
			*end = '\0';
		if (prio >> 3 || (prio & 7) > KMSG_ERR || strncmp(text, prefix, strlen(prefix)))
			continue;
		snprintf(line, size, "%s", text);
		return true;
	}
}

#endif /* _SELFTESTS_KMSG_H */
