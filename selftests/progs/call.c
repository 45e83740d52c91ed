// SPDX-License-Identifier: GPL-2.0-only
/*
 * call swapon|swapoff|delete_module NAME: that system call; prints "0" or the error's name.
 *
 * The tools of those names look before they call, so what they say isn't the kernel's answer.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sys/swap.h>
#include <sys/syscall.h>

#include "common.h"

static long make(const char *what, const char *name)
{
	if (!strcmp(what, "swapon"))
		return swapon(name, 0);
	if (!strcmp(what, "swapoff"))
		return swapoff(name);
	if (!strcmp(what, "delete_module"))
		return syscall(SYS_delete_module, name, O_NONBLOCK);
	fprintf(stderr, "call: '%s' isn't known\n", what);
	exit(EXIT_SETUP);
}

int main(int argc, char **argv)
{
	if (argc != 3) {
		fputs("usage: call swapon|swapoff|delete_module NAME\n", stderr);
		return EXIT_SETUP;
	}
	puts(make(argv[1], argv[2]) ? strerrorname_np(errno) : "0");
	return EXIT_OK;
}
