// SPDX-License-Identifier: GPL-2.0-only
/*
 * For LD_PRELOAD: makes shared mappings of /dev/zero private, which is anonymous memory.
 */
#define _GNU_SOURCE
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

static int is_dev_zero(int fd)
{
	struct stat st;

	return !fstat(fd, &st) && S_ISCHR(st.st_mode) && st.st_rdev == makedev(1, 5);
}

void *mmap(void *address, size_t length, int prot, int flags, int fd, off_t offset)
{
	if ((flags & MAP_TYPE) == MAP_SHARED && is_dev_zero(fd))
		flags ^= MAP_SHARED | MAP_PRIVATE;
	return (void *)syscall(SYS_mmap, address, length, prot, flags, fd, offset);
}

/* What programs with 64-bit file offsets call; on x86-64 it is the same */
void *mmap64(void *address, size_t length, int prot, int flags, int fd, off_t offset)
	__attribute__((alias("mmap")));
