// SPDX-License-Identifier: GPL-2.0-only
/*
 * Direct I/O on a block device from buffers that are not page-aligned and from
 * scattered pieces, so that one block lies in several pages of memory.
 *
 * dioalign DEVICE FIRST: overwrites 300 pages from page FIRST on. Status 0 or 1, or 3
 * when an I/O fails.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sys/uio.h>

#include "common.h"

#define AREA		300UL
#define SECTOR		512UL
#define MAX_PIECES	1024

static unsigned char *memory;
static unsigned long tests, wrong;
static uint64_t first;
static int fd;

static void check_io(ssize_t ret, size_t bytes, const char *what)
{
	if (ret == (ssize_t)bytes)
		return;
	fprintf(stderr, "%s of %zu bytes: %s\n", what, bytes,
		ret < 0 ? strerrorname_np(errno) : "short");
	exit(EXIT_IO);
}

/* The whole area from an aligned buffer: this is what the rest is compared with. */
static void fill_area(uint32_t version)
{
	uint64_t i;

	for (i = 0; i < AREA; i++)
		page_fill(memory + i * PAGE, 7, i, version, KIND_RANDOM);
	check_io(pwrite(fd, memory, AREA * PAGE, (off_t)(first * PAGE)),
		 AREA * PAGE, "write");
}

static void expect_pages(const unsigned char *data, uint64_t page, uint64_t count,
			 uint32_t version)
{
	unsigned char copy[PAGE];
	uint64_t i;

	for (i = 0; i < count; i++) {
		memcpy(copy, data + i * PAGE, PAGE);
		wrong += page_check(copy, 7, page + i, version, KIND_RANDOM);
	}
}

/* What was written is there, and the rest is as it was. */
static void expect_area(uint64_t page, uint64_t count, uint32_t version)
{
	check_io(pread(fd, memory, AREA * PAGE, (off_t)(first * PAGE)),
		 AREA * PAGE, "read");
	expect_pages(memory, 0, page, 1);
	expect_pages(memory + page * PAGE, page, count, version);
	expect_pages(memory + (page + count) * PAGE, page + count,
		     AREA - page - count, 1);
}

static void make_pages(unsigned char *data, uint64_t page, uint64_t count,
		       uint32_t version)
{
	unsigned char one[PAGE];
	uint64_t i;

	for (i = 0; i < count; i++) {
		page_fill(one, 7, page + i, version, KIND_RANDOM);
		memcpy(data + i * PAGE, one, PAGE);
	}
}

static void test_offset(size_t offset, uint64_t page, uint64_t count)
{
	unsigned char *data = memory + offset;
	size_t bytes = count * PAGE;
	off_t where = (off_t)((first + page) * PAGE);

	tests++;
	make_pages(data, page, count, 2);
	check_io(pwrite(fd, data, bytes, where), bytes, "unaligned write");
	expect_area(page, count, 2);

	memset(memory, 0xa5, bytes + 2 * PAGE);
	check_io(pread(fd, data, bytes, where), bytes, "unaligned read");
	expect_pages(data, page, count, 2);
	for (size_t i = 0; i < PAGE; i++) {
		if (i < offset)
			wrong += memory[i] != 0xa5;
		wrong += data[bytes + i] != 0xa5;
	}
	fill_area(1);
}

/*
 * Pieces of @piece bytes (the kernel wants whole blocks), in memory in the opposite
 * order, each with a gap, so that no two begin at the same place in a page.
 */
static void test_pieces(size_t piece, uint64_t page, uint64_t count)
{
	size_t bytes = count * PAGE, stride = piece + SECTOR;
	size_t pieces = bytes / piece, i;
	static struct iovec iov[MAX_PIECES];
	unsigned char *data = malloc(bytes);
	off_t where = (off_t)((first + page) * PAGE);

	if (!data)
		die("malloc");
	tests++;
	make_pages(data, page, count, 3);
	for (i = 0; i < pieces; i++) {
		iov[i].iov_base = memory + (pieces - 1 - i) * stride;
		iov[i].iov_len = piece;
		memcpy(iov[i].iov_base, data + i * piece, piece);
	}
	check_io(pwritev(fd, iov, (int)pieces, where), bytes, "scattered write");
	expect_area(page, count, 3);

	memset(memory, 0x5a, pieces * stride);
	check_io(preadv(fd, iov, (int)pieces, where), bytes, "scattered read");
	for (i = 0; i < pieces; i++) {
		wrong += memcmp(iov[i].iov_base, data + i * piece, piece) != 0;
		for (size_t gap = 0; gap < SECTOR; gap++)
			wrong += ((unsigned char *)iov[i].iov_base)[piece + gap] != 0x5a;
	}
	free(data);
	fill_area(1);
}

int main(int argc, char **argv)
{
	static const uint64_t counts[] = { 1, 2, 3, 16, 64, 256 };
	static const size_t pieces[] = { 4096, 8192, 12288 };
	size_t i, offset;

	if (argc != 3) {
		fputs("usage: dioalign DEVICE FIRST\n", stderr);
		return EXIT_SETUP;
	}
	first = parse_number(argv[2]);
	fd = open(argv[1], O_RDWR | O_DIRECT);
	if (fd < 0)
		die("%s", argv[1]);
	if (posix_memalign((void **)&memory, PAGE, 2 * AREA * PAGE))
		die("posix_memalign");

	fill_area(1);
	for (offset = 0; offset < PAGE; offset += SECTOR)
		for (i = 0; i < sizeof(counts) / sizeof(counts[0]); i++)
			test_offset(offset, 5 + i, counts[i]);
	for (i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
		test_pieces(pieces[i], 3, 6);
		test_pieces(pieces[i], 9, 24);
	}
	printf("%lu I/O shapes, %lu wrong\n", tests, wrong);
	return wrong ? EXIT_WRONG_DATA : EXIT_OK;
}
