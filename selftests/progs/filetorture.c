// SPDX-License-Identifier: GPL-2.0-only
/*
 * All that can be done to a file, at random, checked byte for byte against a model.
 *
 *	filetorture --dir DIR | --bdev DEVICE [--save DIR] [--ops N] [--seed N]
 *		    [--threads N] [--mib N]
 *	filetorture --dir DIR | --bdev DEVICE --check DIR [--threads N] [--mib N]
 *
 * Each thread has a file (or a part of the device) of its own. The model is a version for each 64
 * bytes, from which what stands there follows. --save leaves it behind for --check. SIGTERM ends it
 * early.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "stop.h"

#define BLOCK	64L
#define PAGE	4096L
#define IO_MAX	(256L << 10)

static const char *dir, *bdev, *save, *check_dir;
static unsigned long ops = 1000, seed = 1, threads = 2, mib = 4;

struct file {
	int id;
	int fd;
	int direct;
	int pipe[2];
	int sock[2];
	char path[256];
	long base;
	long max;
	long size;
	uint32_t *model;
	uint32_t version;
	char *map;
	char *buf;
	char *want;
	uint64_t rnd;
	const char *op;
	long done[64];
};

static _Noreturn void die(struct file *f, const char *what)
{
	fprintf(stderr, "%s: %s: %s: %s\n", f->path, f->op ? f->op : "set-up",
		what, strerror(errno));
	exit(1);
}

static uint64_t next(struct file *f)
{
	f->rnd ^= f->rnd << 13;
	f->rnd ^= f->rnd >> 7;
	f->rnd ^= f->rnd << 17;
	return f->rnd;
}

static long below(struct file *f, long n)
{
	return n > 0 ? (long)(next(f) % (uint64_t)n) : 0;
}

static void fill(char *to, uint32_t version, int id)
{
	uint64_t x = version * 0x9e3779b97f4a7c15ULL + (unsigned int)id;
	uint64_t *p = (uint64_t *)to;
	int i;

	if (!version) {
		memset(to, 0, BLOCK);
		return;
	}
	for (i = 0; i < BLOCK / 8; i++) {
		x = (x ^ (x >> 29)) * 0xbf58476d1ce4e5b9ULL + i;
		p[i] = x;
	}
}

static void expect(struct file *f, char *to, long off, long len)
{
	long i;

	for (i = 0; i < len; i += BLOCK)
		fill(to + i, f->model[(off + i) / BLOCK], f->id);
}

/* What was read must be what the model says. */
static void compare(struct file *f, const char *got, long off, long len)
{
	long i;

	expect(f, f->want, off, len);
	if (!memcmp(got, f->want, len))
		return;
	for (i = 0; i < len && got[i] == f->want[i]; i++)
		;
	fprintf(stderr, "%s: %s at %ld, %ld bytes: wrong at %ld: %02x, not %02x (version %u)\n",
		f->path, f->op, off, len, off + i, (unsigned char)got[i],
		(unsigned char)f->want[i], f->model[(off + i) / BLOCK]);
	exit(1);
}

/* New versions for a range, and the data in @to. */
static void renew(struct file *f, char *to, long off, long len)
{
	long i;

	for (i = 0; i < len; i += BLOCK)
		f->model[(off + i) / BLOCK] = ++f->version;
	expect(f, to, off, len);
}

/* A range within the file, in units of @unit. Returns its length, 0 when there is none. */
static long range(struct file *f, long unit, long max, long *off)
{
	long units = f->size / unit, n;

	*off = 0;
	if (!units)
		return 0;
	*off = below(f, units) * unit;
	n = (f->size - *off) / unit;
	if (n > max / unit)
		n = max / unit;
	return (1 + below(f, n)) * unit;
}

static void op_read(struct file *f)
{
	long off, len = range(f, BLOCK, IO_MAX, &off);

	if (len && pread(f->fd, f->buf, len, f->base + off) != len)
		die(f, "short");
	compare(f, f->buf, off, len);
}

static void op_read_all(struct file *f)
{
	long off, len;

	for (off = 0; off < f->size; off += len) {
		len = f->size - off < IO_MAX ? f->size - off : IO_MAX;
		if (pread(f->fd, f->buf, len, f->base + off) != len)
			die(f, "short");
		compare(f, f->buf, off, len);
	}
}

static void op_write(struct file *f)
{
	long off = below(f, (f->size < f->max ? f->size + 1 : f->size) / BLOCK) * BLOCK;
	long len = (1 + below(f, IO_MAX / BLOCK)) * BLOCK;

	if (len > f->max - off)
		len = f->max - off;
	renew(f, f->buf, off, len);
	if (pwrite(f->fd, f->buf, len, f->base + off) != len)
		die(f, "short");
	if (off + len > f->size)
		f->size = off + len;
}

static void op_write_small(struct file *f)
{
	long off, len = range(f, BLOCK, 2 * PAGE, &off);

	if (!len)
		return;
	renew(f, f->buf, off, len);
	if (pwrite(f->fd, f->buf, len, f->base + off) != len)
		die(f, "short");
}

static void op_map_read(struct file *f)
{
	long off, len = range(f, BLOCK, IO_MAX, &off);

	compare(f, f->map + off, off, len);
}

static void op_map_read_scattered(struct file *f)
{
	long off, len;
	int i;

	for (i = 0; i < 32; i++) {
		len = range(f, BLOCK, BLOCK, &off);
		compare(f, f->map + off, off, len);
	}
}

static void op_map_write(struct file *f)
{
	long off, len = range(f, BLOCK, IO_MAX / 4, &off);

	renew(f, f->map + off, off, len);
}

static void op_map_write_scattered(struct file *f)
{
	long off, len;
	int i;

	for (i = 0; i < 16; i++) {
		len = range(f, BLOCK, BLOCK, &off);
		renew(f, f->map + off, off, len);
	}
}

/* What a private mapping writes is nobody else's. */
static void op_map_private(struct file *f)
{
	long off, len = range(f, PAGE, IO_MAX / 4, &off);
	char *map;

	if (!len)
		return;
	map = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE, f->fd,
		   f->base + off);
	if (map == MAP_FAILED)
		die(f, "mmap");
	compare(f, map, off, len);
	memset(map, 0x5a, len / 2);
	compare(f, map + len / 2 / BLOCK * BLOCK, off + len / 2 / BLOCK * BLOCK,
		len - len / 2 / BLOCK * BLOCK);
	munmap(map, len);
	if (pread(f->fd, f->buf, len, f->base + off) != len)
		die(f, "short");
	compare(f, f->buf, off, len);
}

static void op_direct_read(struct file *f)
{
	long off, len = range(f, PAGE, IO_MAX, &off);

	if (len && pread(f->direct, f->buf, len, f->base + off) != len)
		die(f, "short");
	compare(f, f->buf, off, len);
}

static void op_direct_write(struct file *f)
{
	long off, len = range(f, PAGE, IO_MAX, &off);

	if (!len)
		return;
	renew(f, f->buf, off, len);
	if (pwrite(f->direct, f->buf, len, f->base + off) != len)
		die(f, "short");
}

/* Direct I/O whose buffer is the page cache of the file itself: pages of ours may be it. */
static void op_direct_from_map(struct file *f)
{
	long half = f->size / 2 / PAGE * PAGE, from, to, len;

	if (half < PAGE)
		return;
	from = below(f, half / PAGE) * PAGE;
	to = half + from;
	len = PAGE;
	if (pwrite(f->direct, f->map + from, len, f->base + to) != len)
		die(f, "short");
	memcpy(&f->model[to / BLOCK], &f->model[from / BLOCK],
	       len / BLOCK * sizeof(*f->model));
}

static void op_truncate(struct file *f)
{
	long size = below(f, f->max / BLOCK + 1) * BLOCK;
	long i;

	/* Mostly it only changes a little. */
	if (below(f, 4))
		size = f->size - below(f, f->size / 8 / BLOCK) * BLOCK;
	if (ftruncate(f->fd, size))
		die(f, "ftruncate");
	for (i = size; i < f->max; i += BLOCK)
		f->model[i / BLOCK] = 0;
	f->size = size;
}

static void op_extend(struct file *f)
{
	if (ftruncate(f->fd, f->max))
		die(f, "ftruncate");
	f->size = f->max;
}

static void forget(struct file *f, long off, long len)
{
	memset(&f->model[off / BLOCK], 0, len / BLOCK * sizeof(*f->model));
}

static void op_punch(struct file *f)
{
	long unit = bdev ? PAGE : BLOCK;
	long off, len = range(f, unit, IO_MAX, &off);

	if (!len)
		return;
	if (fallocate(f->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
		      f->base + off, len)) {
		if (errno == EOPNOTSUPP)
			return;
		die(f, "fallocate");
	}
	forget(f, off, len);
}

static void op_zero(struct file *f)
{
	long unit = bdev ? PAGE : BLOCK;
	long off, len = range(f, unit, IO_MAX, &off);

	if (!len)
		return;
	if (fallocate(f->fd, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE,
		      f->base + off, len)) {
		if (errno == EOPNOTSUPP)
			return;
		die(f, "fallocate");
	}
	forget(f, off, len);
}

static void op_collapse(struct file *f)
{
	long off, len = range(f, PAGE, IO_MAX, &off);

	if (!len || off + len >= f->size)
		return;
	if (fallocate(f->fd, FALLOC_FL_COLLAPSE_RANGE, off, len)) {
		if (errno == EOPNOTSUPP)
			return;
		die(f, "fallocate");
	}
	memmove(&f->model[off / BLOCK], &f->model[(off + len) / BLOCK],
		(f->size - off - len) / BLOCK * sizeof(*f->model));
	f->size -= len;
	forget(f, f->size, f->max - f->size);
}

static void op_insert(struct file *f)
{
	long off, len = range(f, PAGE, IO_MAX, &off);

	if (!len || f->size + len > f->max)
		return;
	if (fallocate(f->fd, FALLOC_FL_INSERT_RANGE, off, len)) {
		if (errno == EOPNOTSUPP)
			return;
		die(f, "fallocate");
	}
	memmove(&f->model[(off + len) / BLOCK], &f->model[off / BLOCK],
		(f->size - off) / BLOCK * sizeof(*f->model));
	forget(f, off, len);
	f->size += len;
}

/* Within the file, without overlap: by sharing blocks if @clone. */
static void copy_range(struct file *f, bool clone)
{
	long half = f->size / 2 / PAGE * PAGE, from, to, len;

	if (half < PAGE)
		return;
	from = below(f, half / PAGE) * PAGE;
	to = half + from;
	len = half - from < IO_MAX ? half - from : IO_MAX;
	if (clone) {
		struct file_clone_range range = {
			.src_fd = f->fd, .src_offset = from, .src_length = len,
			.dest_offset = to,
		};

		if (ioctl(f->fd, FICLONERANGE, &range)) {
			if (errno == EOPNOTSUPP || errno == EXDEV)
				return;
			die(f, "FICLONERANGE");
		}
	} else {
		off64_t in = from, out = to;

		len = copy_file_range(f->fd, &in, f->fd, &out, len, 0);
		if (len < 0)
			die(f, "copy_file_range");
		len = len / BLOCK * BLOCK;
	}
	memcpy(&f->model[to / BLOCK], &f->model[from / BLOCK],
	       len / BLOCK * sizeof(*f->model));
}

static void op_copy(struct file *f) { copy_range(f, false); }
static void op_clone(struct file *f) { copy_range(f, true); }

static long to_pipe(struct file *f, long *off, long unit)
{
	long len = range(f, unit, 4 * PAGE, off);
	loff_t at = f->base + *off;

	if (!len)
		return 0;
	len = splice(f->fd, &at, f->pipe[1], NULL, len, 0);
	if (len <= 0)
		die(f, "splice");
	return len;
}

static void from_pipe(struct file *f, long off, long len)
{
	long done = 0, n;

	while (done < len) {
		n = read(f->pipe[0], f->buf + done, len - done);
		if (n <= 0)
			die(f, "pipe");
		done += n;
	}
	compare(f, f->buf, off, len / BLOCK * BLOCK);
}

static void op_splice(struct file *f)
{
	long off, len = to_pipe(f, &off, BLOCK);

	if (len)
		from_pipe(f, off, len);
}

/* The pages themselves are in the socket. */
static void op_sendfile(struct file *f)
{
	long off, len = range(f, BLOCK, 4 * PAGE, &off), done = 0, n;
	off_t at = f->base + off;

	if (len && sendfile(f->sock[1], f->fd, &at, len) != len)
		die(f, "sendfile");
	for (; done < len; done += n) {
		n = read(f->sock[0], f->buf + done, len - done);
		if (n <= 0)
			die(f, "socket");
	}
	compare(f, f->buf, off, len);
}

/*
 * The pages in the pipe outlive their place in the file. But the end of a large folio
 * whose beginning stays in the file reads as zeros.
 */
static void op_splice_truncate(struct file *f)
{
	static const char zeros[PAGE];
	long off, len, size, i;

	if (f->size < 8 * PAGE)
		return;
	len = to_pipe(f, &off, PAGE);
	if (len % PAGE)
		die(f, "odd splice");
	if (!len)
		return;
	size = off;
	if (ftruncate(f->fd, size))
		die(f, "ftruncate");
	for (i = 0; i < len; i += PAGE) {
		if (read(f->pipe[0], f->buf, PAGE) != PAGE)
			die(f, "pipe");
		if (memcmp(f->buf, zeros, PAGE))
			compare(f, f->buf, off + i, PAGE);
	}
	f->size = size;
	forget(f, size, f->max - size);
}

static void op_mlock(struct file *f)
{
	long off, len = range(f, PAGE, IO_MAX / 4, &off);

	if (!len)
		return;
	if (mlock(f->map + off, len))
		die(f, "mlock");
	compare(f, f->map + off, off, len);
	if (munlock(f->map + off, len))
		die(f, "munlock");
}

static void op_remap(struct file *f)
{
	munmap(f->map, f->max);
	f->map = mmap(NULL, f->max, PROT_READ | PROT_WRITE, MAP_SHARED, f->fd,
		      f->base);
	if (f->map == MAP_FAILED)
		die(f, "mmap");
}

static void op_sync(struct file *f)
{
	if (below(f, 2) ? fsync(f->fd) : fdatasync(f->fd))
		die(f, "fsync");
}

static void op_msync(struct file *f)
{
	long off, len = range(f, PAGE, IO_MAX, &off);

	if (len && msync(f->map + off, len, MS_SYNC))
		die(f, "msync");
}

static void op_writeback(struct file *f)
{
	sync_file_range(f->fd, 0, 0, SYNC_FILE_RANGE_WRITE);
}

static void op_dontneed(struct file *f)
{
	long off, len = range(f, PAGE, IO_MAX, &off);

	posix_fadvise(f->fd, f->base + off, len, POSIX_FADV_DONTNEED);
}

static void op_pageout(struct file *f)
{
	long off, len = range(f, PAGE, IO_MAX, &off);

	if (len)
		madvise(f->map + off, len, MADV_PAGEOUT);
}

static void op_pageout_all(struct file *f)
{
	fdatasync(f->fd);
	madvise(f->map, f->max, MADV_PAGEOUT);
}

static const struct op {
	const char *name;
	void (*fn)(struct file *f);
	int weight;
	bool files_only;
} table[] = {
	{ "read", op_read, 10, false },
	{ "read all", op_read_all, 2, false },
	{ "write", op_write, 3, false },
	{ "small write", op_write_small, 6, false },
	{ "mapped read", op_map_read, 8, false },
	{ "scattered mapped reads", op_map_read_scattered, 6, false },
	{ "mapped write", op_map_write, 4, false },
	{ "scattered mapped writes", op_map_write_scattered, 4, false },
	{ "private mapping", op_map_private, 3, false },
	{ "direct read", op_direct_read, 4, false },
	{ "direct write", op_direct_write, 4, false },
	{ "direct write from the mapping", op_direct_from_map, 3, false },
	{ "truncate", op_truncate, 2, true },
	{ "extend", op_extend, 2, true },
	{ "punch", op_punch, 3, false },
	{ "zero", op_zero, 2, false },
	{ "collapse", op_collapse, 2, true },
	{ "insert", op_insert, 2, true },
	{ "copy", op_copy, 2, true },
	{ "clone", op_clone, 2, true },
	{ "splice", op_splice, 4, false },
	{ "sendfile", op_sendfile, 3, false },
	{ "splice and truncate", op_splice_truncate, 1, true },
	{ "mlock", op_mlock, 2, false },
	{ "remap", op_remap, 2, false },
	{ "sync", op_sync, 2, false },
	{ "msync", op_msync, 2, false },
	{ "writeback", op_writeback, 2, false },
	{ "dontneed", op_dontneed, 1, false },
	{ "pageout", op_pageout, 12, false },
	{ "pageout all", op_pageout_all, 2, false },
};

#define NR_OPS	(sizeof(table) / sizeof(*table))

static void open_file(struct file *f, bool fresh)
{
	int flags = O_RDWR | (fresh && !bdev ? O_CREAT | O_TRUNC : 0);

	f->max = mib << 20;
	if (bdev) {
		snprintf(f->path, sizeof(f->path), "%s", bdev);
		f->base = f->id * f->max;
	} else {
		snprintf(f->path, sizeof(f->path), "%s/torture%d", dir, f->id);
	}
	f->fd = open(f->path, flags, 0600);
	f->direct = open(f->path, O_RDWR | O_DIRECT);
	if (f->fd < 0 || f->direct < 0 || pipe(f->pipe) ||
	    socketpair(AF_UNIX, SOCK_STREAM, 0, f->sock))
		die(f, "open");
	f->model = calloc(f->max / BLOCK, sizeof(*f->model));
	f->want = malloc(IO_MAX);
	if (!f->model || !f->want || posix_memalign((void **)&f->buf, PAGE, IO_MAX))
		die(f, "no memory");
	if (bdev)
		f->size = f->max;
}

static void model_io(struct file *f, const char *where, bool out)
{
	char path[300];
	FILE *file;
	size_t n = f->max / BLOCK;

	snprintf(path, sizeof(path), "%s/model%d", where, f->id);
	file = fopen(path, out ? "w" : "r");
	if (!file)
		die(f, path);
	if (out)
		n -= fwrite(&f->size, sizeof(f->size), 1, file) == 1 ?
		     fwrite(f->model, sizeof(*f->model), n, file) : 0;
	else
		n -= fread(&f->size, sizeof(f->size), 1, file) == 1 ?
		     fread(f->model, sizeof(*f->model), n, file) : 0;
	if (n)
		die(f, path);
	if (fclose(file))
		die(f, path);
}

static void *torture(void *arg)
{
	struct file *f = arg;
	unsigned long i;
	long total = 0, pick;
	const struct op *op;

	f->rnd = seed * 0x9e3779b97f4a7c15ULL + f->id + 1;
	for (i = 0; i < 8; i++)
		next(f);
	open_file(f, true);
	f->map = mmap(NULL, f->max, PROT_READ | PROT_WRITE, MAP_SHARED, f->fd,
		      f->base);
	if (f->map == MAP_FAILED)
		die(f, "mmap");
	if (bdev) {
		/* What stands there isn't known. */
		for (f->op = "fill"; total < f->max; total += IO_MAX) {
			renew(f, f->buf, total, IO_MAX);
			if (pwrite(f->fd, f->buf, IO_MAX, f->base + total) != IO_MAX)
				die(f, "short");
		}
	}
	for (total = 0, i = 0; i < NR_OPS; i++)
		total += table[i].weight;
	for (i = 0; i < ops && !stop; i++) {
		pick = below(f, total);
		for (op = table; pick >= op->weight; op++)
			pick -= op->weight;
		if (op->files_only && bdev)
			continue;
		f->op = op->name;
		op->fn(f);
		f->done[op - table]++;
	}
	f->op = "last look";
	op_read_all(f);
	if (save)
		model_io(f, save, true);
	munmap(f->map, f->max);
	if (fsync(f->fd))
		die(f, "fsync");
	close(f->direct);
	close(f->fd);
	return NULL;
}

static void *check(void *arg)
{
	struct file *f = arg;
	struct stat st;

	open_file(f, false);
	model_io(f, check_dir, false);
	f->op = "check";
	if (fstat(f->fd, &st) || (!bdev && st.st_size != f->size))
		die(f, "size");
	op_read_all(f);
	return NULL;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "dir", 1, NULL, 'd' }, { "bdev", 1, NULL, 'b' },
		{ "save", 1, NULL, 's' }, { "check", 1, NULL, 'c' },
		{ "ops", 1, NULL, 'o' }, { "seed", 1, NULL, 'r' },
		{ "threads", 1, NULL, 't' }, { "mib", 1, NULL, 'm' }, { }
	};
	pthread_t *tid;
	struct file *f;
	unsigned long i;
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (c) {
		case 'd':
			dir = optarg;
			break;
		case 'b':
			bdev = optarg;
			break;
		case 's':
			save = optarg;
			break;
		case 'c':
			check_dir = optarg;
			break;
		case 'o':
			ops = strtoul(optarg, NULL, 0);
			break;
		case 'r':
			seed = strtoul(optarg, NULL, 0);
			break;
		case 't':
			threads = strtoul(optarg, NULL, 0);
			break;
		case 'm':
			mib = strtoul(optarg, NULL, 0);
			break;
		default:
			return 2;
		}
	}
	if (!dir == !bdev || !threads || !mib) {
		fprintf(stderr, "filetorture: --dir or --bdev\n");
		return 2;
	}
	tid = calloc(threads, sizeof(*tid));
	f = calloc(threads, sizeof(*f));
	if (!tid || !f)
		return 1;
	stop_on_term();
	for (i = 0; i < threads; i++) {
		f[i].id = i;
		if (pthread_create(&tid[i], NULL, check_dir ? check : torture, &f[i]))
			return 1;
	}
	let_term_in();
	for (i = 0; i < threads; i++)
		pthread_join(tid[i], NULL);
	return 0;
}
