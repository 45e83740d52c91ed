// SPDX-License-Identifier: GPL-2.0-only
/*
 * I/O, ranges and ioctls that nobody should send to a block device, against a model of its data.
 */

/**
 * DOC: command
 *
 * fuzzbio SEED COUNT DEVICE
 *	COUNT operations, most of them out of line or out of range. What fails must change
 *	nothing, what succeeds must do what it says; all of the device is compared with the
 *	model now and then. The device is small, has blocks of 4 KiB, is empty, and reads as
 *	zeros but for its first block. Prints "OPERATIONS DONE REFUSED".
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <linux/blkpg.h>
#include <linux/blkzoned.h>
#include <linux/falloc.h>
#include <linux/fs.h>

#include "common.h"

#define DIRECT_ALIGN	512	/* of memory for direct I/O */
#define BUFFER		(2UL << 20)
#define IOVECS		1024
#define CHECK_EVERY	500

static uint64_t seed, bytes;
static unsigned char *model, *buffer, *check;
static unsigned char first_block[PAGE];
static int direct, cached;
static const char *device;
static uint64_t done, refused, operation;

static uint64_t below(uint64_t n)
{
	return n ? next_random(&seed) % n : 0;
}

static void __attribute__((noreturn, format(printf, 1, 2))) wrong(const char *fmt, ...)
{
	va_list ap;

	printf("operation %" PRIu64 ": ", operation);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
	exit(EXIT_WRONG_DATA);
}

static void open_device(void)
{
	direct = open(device, O_RDWR | O_DIRECT | O_CLOEXEC);
	cached = open(device, O_RDWR | O_CLOEXEC);
	if (direct < 0 || cached < 0)
		die("%s", device);
}

/* ---- Numbers that are just right, nearly right, or absurd ---- */

static uint64_t any_offset(void)
{
	switch (below(8)) {
	case 0:
		return below(bytes);
	case 1:
		return bytes + (below(5) - 2) * PAGE;
	case 2:
		return bytes - below(3 * PAGE) + PAGE;
	case 3:
		return next_random(&seed) >> below(64);
	case 4:
		return below(bytes / 512) * 512;
	default:
		return below(bytes / PAGE) * PAGE;
	}
}

static uint64_t any_length(uint64_t max)
{
	switch (below(8)) {
	case 0:
		return below(max);
	case 1:
		return below(3) * 511;
	case 2:
		return below(max / 512) * 512;
	case 3:
		return 0;
	default:
		return below(max / PAGE + 1) * PAGE;
	}
}

static bool is_aligned(uint64_t n)
{
	return !(n % PAGE);
}

/* ---- Data ---- */

static void random_data(unsigned char *to, uint64_t len)
{
	uint64_t value = next_random(&seed), i;
	bool same = !below(4);

	for (i = 0; i < len; i++)
		to[i] = (unsigned char)(same ? value : value >> (i % 57) ^ i * 31);
}

static void check_all(int fd)
{
	uint64_t at;

	for (at = 0; at < bytes; at += BUFFER) {
		uint64_t len = bytes - at < BUFFER ? bytes - at : BUFFER, i;

		if (pread(fd, check, len, (off_t)at) != (ssize_t)len)
			wrong("reading the device: %s", strerrorname_np(errno));
		if (!memcmp(check, model + at, len))
			continue;
		for (i = 0; check[i] == model[at + i]; i++)
			;
		wrong("the device has %02x at %" PRIu64 ", not %02x", check[i], at + i,
		      model[at + i]);
	}
}

/* ---- Reading and writing ---- */

/*
 * As many pieces as fit: on return @len is their sum. Memory and pieces are odd with a chance of
 * 1 in @odd.
 */
static int make_iovecs(struct iovec *iov, uint64_t *len, unsigned int odd)
{
	int n = 1 + (int)(below(4) ? 0 : below(IOVECS)), i;
	uint64_t left = *len, at = below(odd) ? 0 : below(PAGE);

	*len = 0;
	for (i = 0; i < n; i++) {
		uint64_t piece = left;

		if (i < n - 1)
			piece = below(odd) ? below(left / PAGE + 1) * PAGE / (uint64_t)n :
					     below(left + 1);
		if (below(odd) && i < n - 1)
			piece -= piece % 512;
		if (at + piece > BUFFER)
			piece = BUFFER - at;
		iov[i].iov_base = buffer + at;
		iov[i].iov_len = piece;
		at += piece;
		left -= piece;
		*len += piece;
	}
	return n;
}

/* What is in the pieces goes to the model, or is compared with it. */
static void compare(const struct iovec *iov, uint64_t offset, uint64_t len, bool write)
{
	while (len) {
		uint64_t n = iov->iov_len < len ? iov->iov_len : len;

		if (write)
			memcpy(model + offset, iov->iov_base, n);
		else if (memcmp(model + offset, iov->iov_base, n))
			wrong("wrong data read at %" PRIu64 ", %" PRIu64 " bytes", offset, n);
		offset += n;
		len -= n;
		iov++;
	}
}

static bool memory_aligned(const struct iovec *iov, int n)
{
	for (; n--; iov++)
		if ((uintptr_t)iov->iov_base % DIRECT_ALIGN || !is_aligned(iov->iov_len))
			return false;
	return true;
}

static void read_or_write(bool write)
{
	static struct iovec iov[IOVECS];
	uint64_t len = any_length(below(4) ? 16 * PAGE : BUFFER - PAGE);
	uint64_t offset = any_offset(), room;
	bool is_direct = below(4);
	int fd = is_direct ? direct : cached, n = make_iovecs(iov, &len, 6);
	ssize_t ret;

	if (write)
		random_data(buffer, BUFFER);
	ret = write ? pwritev(fd, iov, n, (off_t)offset) : preadv(fd, iov, n, (off_t)offset);
	if (ret < 0) {
		refused++;
		if (is_direct && is_aligned(offset) && is_aligned(len) && offset < bytes &&
		    memory_aligned(iov, n))
			wrong("%s of %" PRIu64 " at %" PRIu64 ": %s", write ? "write" : "read", len,
			      offset, strerrorname_np(errno));
		if (errno != EINVAL && errno != ENOSPC && errno != EOVERFLOW && errno != EFBIG)
			wrong("%s of %" PRIu64 " at %" PRIu64 ": %s", write ? "write" : "read", len,
			      offset, strerrorname_np(errno));
		return;
	}
	done++;
	room = offset < bytes ? bytes - offset : 0;
	if ((uint64_t)ret > len || (uint64_t)ret > room)
		wrong("%zd bytes of %" PRIu64 " at %" PRIu64, ret, len, offset);
	if (is_direct && ret && !is_aligned(offset))
		wrong("direct I/O at %" PRIu64, offset);
	compare(iov, offset, (uint64_t)ret, write);
}

/* ---- Ranges ---- */

static void clear_model(uint64_t start, uint64_t len, bool discard)
{
	memset(model + start, 0, len);
	/* What is nowhere is the swap header there. */
	if (!start && len && discard)
		memcpy(model, first_block, PAGE);
}

static bool in_range(const uint64_t *range)
{
	return range[1] && range[0] + range[1] >= range[0] && range[0] + range[1] <= bytes &&
	       is_aligned(range[0]) && is_aligned(range[1]);
}

static void clear_range(void)
{
	static const struct {
		unsigned long request;
		bool discard;
	} ways[] = {
		{ BLKDISCARD, true }, { BLKZEROOUT, false }, { BLKSECDISCARD, true },
		{ BLKRESETZONE, true },
	};
	unsigned int way = (unsigned int)below(4);
	uint64_t range[2] = { any_offset(), any_length(bytes) };

	if (!below(8))
		range[1] = next_random(&seed) >> below(64);
	/* BLKZEROOUT forgets what isn't written yet before it refuses half a block. */
	if (fsync(cached))
		wrong("fsync: %s", strerrorname_np(errno));
	if (!ioctl(direct, ways[way].request, range)) {
		done++;
		/* What was taken was done. */
		if (!in_range(range))
			wrong("request %u of %" PRIu64 " at %" PRIu64 " was taken", way, range[1],
			      range[0]);
		clear_model(range[0], range[1], ways[way].discard);
		return;
	}
	refused++;
	if (in_range(range) && way < 2)
		wrong("request %u of %" PRIu64 " at %" PRIu64 ": %s", way, range[1], range[0],
		      strerrorname_np(errno));
}

static void allocate_range(void)
{
	static const int modes[] = {
		FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, FALLOC_FL_ZERO_RANGE,
		FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, 0, FALLOC_FL_KEEP_SIZE,
		FALLOC_FL_COLLAPSE_RANGE, FALLOC_FL_INSERT_RANGE,
	};
	int mode = below(8) ? modes[below(7)] : (int)below(256);
	uint64_t start = any_offset(), len = any_length(bytes);

	if (fallocate(direct, mode, (off_t)start, (off_t)len)) {
		refused++;
		return;
	}
	done++;
	/* It ends at the end of the device for those that may. */
	if (start >= bytes)
		wrong("fallocate %#x of %" PRIu64 " at %" PRIu64 " was taken", mode, len, start);
	if (len > bytes - start)
		len = bytes - start;
	if (mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE))
		clear_model(start, len, false);
}

/* ---- Requests ---- */

/* Not what has lasting effect elsewhere: tracing (0x12 115 to 118). */
static unsigned long any_request(void)
{
	static const unsigned char types[] = {
		0x12, 0x12, 0x12, 0x03, 0x22, 0x53, 0x70, 0x4c, 0xfd, 0x02, 0x42,
	};
	unsigned long type = types[below(sizeof(types))], nr = below(256);

	if (type == 0x12 && nr >= 115 && nr <= 118)
		nr = 255;
	/* Ranges are done above. */
	if (type == 0x12 && (nr == 119 || nr == 125 || nr == 127))
		nr = 254;
	return below(2) ? type << 8 | nr :
			  _IOC(below(4), type, nr, below(2) ? 8 : below(1 << 14));
}

static void send_request(void)
{
	static uint64_t memory[16384 / 8 + 8];
	unsigned long request = any_request(), argument;
	int off = 0, ret;
	unsigned int i;

	for (i = 0; i < sizeof(memory) / sizeof(memory[0]); i++)
		memory[i] = below(2) ? next_random(&seed) >> below(64) : 0;
	switch (below(4)) {
	case 0:
		argument = below(1 << 20);
		break;
	case 1:
		argument = next_random(&seed);
		break;
	default:
		argument = (unsigned long)memory;
	}
	ret = ioctl(below(2) ? direct : cached, request, argument);
	if (ret < 0)
		refused++;
	else
		done++;
	if (ioctl(direct, BLKROSET, &off))
		die("BLKROSET");
}

/* Their effect is the page cache's business and the reader's; none is on the data. */
static void known_request(void)
{
	static const unsigned long requests[] = {
		BLKRASET, BLKFRASET, BLKFLSBUF, BLKBSZSET, BLKRRPART, BLKROSET, BLKSECTSET, BLKPG,
	};
	unsigned long request = requests[below(8)];
	uint64_t number = below(2) ? 512UL << below(12) : next_random(&seed) >> below(64);
	int off = 0;

	if (ioctl(cached, request, below(2) ? (unsigned long)&number : number) < 0)
		refused++;
	else
		done++;
	if (ioctl(cached, BLKROSET, &off))
		die("BLKROSET");
}

static void step(void)
{
	switch (below(10)) {
	case 0:
	case 1:
	case 2:
		return read_or_write(true);
	case 3:
	case 4:
		return read_or_write(false);
	case 5:
		return clear_range();
	case 6:
		return allocate_range();
	case 7:
		return known_request();
	default:
		return send_request();
	}
}

static void *pages(uint64_t len)
{
	void *at = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (at == MAP_FAILED)
		die("mmap");
	return at;
}

int main(int argc, char **argv)
{
	uint64_t count, i;

	if (argc != 4) {
		fprintf(stderr, "usage: fuzzbio SEED COUNT DEVICE\n");
		return EXIT_SETUP;
	}
	seed = parse_number(argv[1]);
	count = parse_number(argv[2]);
	device = argv[3];
	open_device();
	if (ioctl(direct, BLKGETSIZE64, &bytes))
		die("BLKGETSIZE64");
	model = pages(bytes);
	buffer = pages(BUFFER);
	check = pages(BUFFER);
	if (pread(direct, check, PAGE, 0) != (ssize_t)PAGE)
		die("first block");
	memcpy(first_block, check, PAGE);
	memcpy(model, check, PAGE);
	check_all(direct);
	for (i = 0; i < count; i++) {
		operation = i;
		step();
		if (i % CHECK_EVERY == 0) {
			check_all(direct);
			check_all(cached);
			/* Block size and read-ahead are those of the last one who has it open. */
			close(direct);
			close(cached);
			open_device();
		}
	}
	check_all(direct);
	printf("%" PRIu64 " %" PRIu64 " %" PRIu64 "\n", count, done, refused);
	return EXIT_OK;
}
