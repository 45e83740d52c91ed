// SPDX-License-Identifier: GPL-2.0-only
/*
 * Writes and verifies patterns on a block device, page by page, with direct I/O.
 */

/**
 * DOC: commands
 *
 * blkdata [-b PAGES] [-c] [-d] COMMAND DEVICE [FIRST COUNT] ...
 *
 *   write DEV FIRST COUNT SEED KIND   exit 3 and "errno NAME at PAGE" when a write fails
 *   verify DEV FIRST COUNT SEED KIND  every byte
 *   zeros DEV FIRST COUNT             all zeros
 *   survey DEV FIRST COUNT SEED KIND  prints "INTACT UNREADABLE WRONG [PAGES...]": the
 *                                     numbers of the first 16 unreadable pages
 *   fill DEV FIRST COUNT SEED         random pages until a write fails; prints
 *                                     "WRITTEN ERRNO"; what was written is verified
 *   find DEV FIRST COUNT SEED         prints how many pages hold a random page of that seed, of
 *                                     whatever index
 *   secrets DEV FIRST COUNT SEED      prints how often the second half of a secret page's
 *                                     secret is there, at whatever byte: compressed data has
 *                                     it as it is
 *   sum DEV [FIRST COUNT]             a 64-bit sum of the data
 *   pages DEV                         size in pages
 *
 * -b: pages in one I/O (16). -c: through the page cache instead, with fsync.
 * -d: what is to be written is discarded first, for each I/O.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <linux/fs.h>

#include "common.h"

static unsigned int batch = 16;
static bool cached;
static bool discard;
static unsigned char *buffer;
static int fd;

static uint64_t device_pages(void)
{
	uint64_t bytes;
	struct stat st;

	if (fstat(fd, &st))
		die("fstat");
	if (S_ISREG(st.st_mode))
		bytes = (uint64_t)st.st_size;
	else if (ioctl(fd, BLKGETSIZE64, &bytes))
		die("BLKGETSIZE64");
	return bytes / PAGE;
}

static uint64_t at_most(uint64_t left)
{
	return left < batch ? left : batch;
}

/* Returns 0 or the errno of the write. */
static int write_pages(uint64_t first, uint64_t count, uint16_t seed, enum kind kind)
{
	uint64_t range[2] = { first * PAGE, count * PAGE };
	uint64_t i;
	ssize_t ret;

	for (i = 0; i < count; i++)
		page_fill(buffer + i * PAGE, seed, first + i, 1, kind);
	if (discard && ioctl(fd, BLKDISCARD, range))
		return errno;
	ret = pwrite(fd, buffer, count * PAGE, (off_t)(first * PAGE));
	if (ret < 0)
		return errno;
	return ret == (ssize_t)(count * PAGE) ? 0 : EIO;
}

static int do_write(uint64_t first, uint64_t count, uint16_t seed, enum kind kind)
{
	uint64_t i, n;
	int err;

	for (i = 0; i < count; i += n) {
		n = at_most(count - i);
		err = write_pages(first + i, n, seed, kind);
		if (err) {
			printf("errno %s at %" PRIu64 "\n", strerrorname_np(err),
			       first + i);
			return EXIT_IO;
		}
	}
	if (fsync(fd))
		die("fsync");
	return EXIT_OK;
}

static int do_verify(uint64_t first, uint64_t count, uint16_t seed, enum kind kind)
{
	unsigned long wrong = 0;
	uint64_t i, j, n;
	ssize_t ret;

	for (i = 0; i < count; i += n) {
		n = at_most(count - i);
		ret = pread(fd, buffer, n * PAGE, (off_t)((first + i) * PAGE));
		if (ret != (ssize_t)(n * PAGE)) {
			printf("errno %s at %" PRIu64 "\n",
			       ret < 0 ? strerrorname_np(errno) : "short",
			       first + i);
			return EXIT_IO;
		}
		for (j = 0; j < n; j++)
			wrong += page_check(buffer + j * PAGE, seed,
					    first + i + j, 1, kind);
	}
	if (wrong)
		printf("wrong bytes %lu\n", wrong);
	return wrong ? EXIT_WRONG_DATA : EXIT_OK;
}

static int do_survey(uint64_t first, uint64_t count, uint16_t seed, enum kind kind)
{
	uint64_t intact = 0, unreadable = 0, wrong = 0, i;
	uint64_t where[16];
	ssize_t ret;

	for (i = first; i < first + count; i++) {
		ret = pread(fd, buffer, PAGE, (off_t)(i * PAGE));
		if (ret == (ssize_t)PAGE) {
			if (page_check(buffer, seed, i, 1, kind))
				wrong++;
			else
				intact++;
			continue;
		}
		if (ret >= 0 || (errno != EIO && errno != ENODATA))
			die("read of page %" PRIu64, i);
		if (unreadable < 16)
			where[unreadable] = i;
		unreadable++;
	}
	printf("%" PRIu64 " %" PRIu64 " %" PRIu64, intact, unreadable, wrong);
	for (i = 0; i < unreadable && i < 16; i++)
		printf(" %" PRIu64, where[i]);
	putchar('\n');
	return wrong ? EXIT_WRONG_DATA : EXIT_OK;
}

static int do_fill(uint64_t first, uint64_t count, uint16_t seed)
{
	uint64_t i = 0, n = batch;
	int err = 0;

	while (i < count) {
		n = n < count - i ? n : count - i;
		err = write_pages(first + i, n, seed, KIND_RANDOM);
		if (!err)
			i += n;
		else if (n > 1)
			n = 1;	/* find the very page */
		else
			break;
	}
	printf("%" PRIu64 " %s\n", i, err ? strerrorname_np(err) : "0");
	return do_verify(first, i, seed, KIND_RANDOM);
}

static int do_find(uint64_t first, uint64_t count, uint16_t seed)
{
	uint64_t found = 0, i, j, n;

	for (i = 0; i < count; i += n) {
		n = at_most(count - i);
		if (pread(fd, buffer, n * PAGE, (off_t)((first + i) * PAGE)) != (ssize_t)(n * PAGE))
			die("read of page %" PRIu64, first + i);
		for (j = 0; j < n; j++) {
			const uint64_t *word = (const uint64_t *)(buffer + j * PAGE);

			/* A word in the middle will do: a page that is there in part is there. */
			found += word[1] == ((uint64_t)seed << 32 | 1) ||
				 (word[0] && word[0] < 1ULL << 40 &&
				  word[300] == page_word(seed, word[0], 1, KIND_RANDOM, 300));
		}
	}
	printf("%" PRIu64 "\n", found);
	return EXIT_OK;
}

static int do_secrets(uint64_t first, uint64_t count, uint16_t seed)
{
	unsigned char page[PAGE], *data = malloc(count * PAGE), *at = data, *end;
	size_t len = SECRET_WORDS / 2 * sizeof(uint64_t);
	uint64_t found = 0;

	page_fill(page, seed, 0, 1, KIND_SECRET);
	if (!data ||
	    pread(fd, data, count * PAGE, (off_t)(first * PAGE)) != (ssize_t)(count * PAGE))
		die("read of %" PRIu64 " pages", count);
	end = data + count * PAGE;
	for (;;) {
		at = memmem(at, (size_t)(end - at), page + len, len);
		if (!at)
			break;
		found++;
		at += len;
	}
	free(data);
	printf("%" PRIu64 "\n", found);
	return EXIT_OK;
}

static int do_sum(uint64_t first, uint64_t count)
{
	uint64_t sum = 0, i, n, w;
	const uint64_t *word = (const uint64_t *)buffer;

	for (i = 0; i < count; i += n) {
		n = at_most(count - i);
		if (pread(fd, buffer, n * PAGE, (off_t)((first + i) * PAGE)) !=
		    (ssize_t)(n * PAGE))
			die("read of page %" PRIu64, first + i);
		for (w = 0; w < n * PAGE_WORDS; w++)
			sum = (sum ^ word[w]) * 0x100000001b3ULL + (sum >> 47);
	}
	printf("%016" PRIx64 "\n", sum);
	return EXIT_OK;
}

static int help(void)
{
	fputs("blkdata [-b PAGES] [-c] [-d] COMMAND DEVICE [FIRST COUNT [SEED [KIND]]]\n"
	      "commands: write verify zeros survey fill find secrets sum pages\n", stderr);
	return EXIT_SETUP;
}

int main(int argc, char **argv)
{
	enum kind kind = KIND_RANDOM;
	uint64_t first = 0, count;
	bool writes;
	uint16_t seed = 1;
	const char *cmd;
	int c;

	while ((c = getopt(argc, argv, "b:cd")) != -1) {
		if (c == 'b')
			batch = (unsigned int)parse_number(optarg);
		else if (c == 'c')
			cached = true;
		else if (c == 'd')
			discard = true;
		else
			return help();
	}
	argc -= optind;
	argv += optind;
	if (argc < 2 || argc > 6 || !batch)
		return help();
	cmd = argv[0];
	writes = !strcmp(cmd, "write") || !strcmp(cmd, "fill");
	fd = open(argv[1], (writes ? O_RDWR : O_RDONLY) | (cached ? 0 : O_DIRECT));
	if (fd < 0)
		die("%s", argv[1]);
	if (posix_memalign((void **)&buffer, PAGE, batch * PAGE))
		die("posix_memalign");
	count = device_pages();
	if (argc >= 4) {
		first = parse_number(argv[2]);
		count = parse_number(argv[3]);
	}
	if (argc >= 5)
		seed = (uint16_t)parse_number(argv[4]);
	if (argc >= 6)
		kind = parse_kind(argv[5]);

	if (!strcmp(cmd, "write"))
		return do_write(first, count, seed, kind);
	if (!strcmp(cmd, "verify"))
		return do_verify(first, count, seed, kind);
	if (!strcmp(cmd, "zeros"))
		return do_verify(first, count, seed, KIND_ZERO);
	if (!strcmp(cmd, "survey"))
		return do_survey(first, count, seed, kind);
	if (!strcmp(cmd, "fill"))
		return do_fill(first, count, seed);
	if (!strcmp(cmd, "find"))
		return do_find(first, count, seed);
	if (!strcmp(cmd, "secrets"))
		return do_secrets(first, count, seed);
	if (!strcmp(cmd, "sum"))
		return do_sum(first, count);
	if (!strcmp(cmd, "pages")) {
		printf("%" PRIu64 "\n", device_pages());
		return EXIT_OK;
	}
	return help();
}
