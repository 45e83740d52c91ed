// SPDX-License-Identifier: GPL-2.0-only
/*
 * Does at random what can be done to anonymous memory, and checks every byte against a model.
 *
 * Each thread has a region of its own and draws its operations from its own seeded
 * generator: what a thread does depends on the seed and its number only. SIGTERM ends it early.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <getopt.h>
#include <linux/io_uring.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include "common.h"
#include "stop.h"

#define RANGE_MAX	32	/* pages that one operation is about */
#define PIPE_PAGES	16

static struct {
	uint64_t size;		/* of a region */
	uint64_t seed;
	unsigned int threads;
	unsigned long ops;	/* of a thread */
	const char *file;	/* for direct I/O: a block device or file */
	bool text;		/* what else is random can be compressed */
} opt = { .size = 8 << 20, .seed = 1, .threads = 2, .ops = 20000 };

struct worker {
	pthread_t thread;
	unsigned int nr;
	uint64_t random;
	unsigned char *addr;
	uint64_t pages;
	uint32_t *version;	/* of each page; 0: zeros */
	unsigned char *bounce;	/* RANGE_MAX pages, aligned */
	int fd;
	unsigned long wrong;
};

struct range {
	uint64_t first;
	uint64_t count;
};

static uint64_t below(struct worker *w, uint64_t n)
{
	return next_random(&w->random) % n;
}

static struct range some_range(struct worker *w, unsigned int max)
{
	struct range r;

	r.count = 1 + below(w, max);
	r.first = below(w, w->pages - r.count + 1);
	return r;
}

static unsigned char *at(struct worker *w, uint64_t page)
{
	return w->addr + page * PAGE;
}

/* The kind is a function of the version too, so pages change their kind. */
static enum kind kind_now(struct worker *w, uint64_t page)
{
	enum kind kind;

	if (!w->version[page])
		return KIND_ZERO;
	kind = kind_of(KIND_MIXED, mix64(page ^ w->version[page]) % 7 ? 0 : mix64(page));
	return kind == KIND_RANDOM && opt.text && page % 8 ? KIND_TEXT : kind;
}

static uint64_t seed_of(struct worker *w)
{
	return opt.seed << 8 | w->nr;
}

static void check_at(struct worker *w, const void *data, uint64_t page)
{
	w->wrong += page_check(data, seed_of(w), page, w->version[page], kind_now(w, page));
}

static void write_one(struct worker *w, uint64_t page)
{
	w->version[page]++;
	page_fill(at(w, page), seed_of(w), page, w->version[page], kind_now(w, page));
}

static void op_write(struct worker *w)
{
	struct range r = some_range(w, RANGE_MAX);

	while (r.count--)
		write_one(w, r.first++);
}

static void op_check(struct worker *w)
{
	struct range r = some_range(w, RANGE_MAX * 4);

	for (; r.count--; r.first++)
		check_at(w, at(w, r.first), r.first);
}

/* Page by page, in any order: faults that don't follow each other */
static void op_check_scattered(struct worker *w)
{
	int i;

	for (i = 0; i < RANGE_MAX; i++) {
		uint64_t page = below(w, w->pages);

		check_at(w, at(w, page), page);
	}
}

static void op_pageout(struct worker *w)
{
	struct range r = some_range(w, RANGE_MAX * 16);

	if (madvise(at(w, r.first), r.count * PAGE, MADV_PAGEOUT))
		die("MADV_PAGEOUT");
}

static void op_dontneed(struct worker *w)
{
	struct range r = some_range(w, RANGE_MAX);

	if (madvise(at(w, r.first), r.count * PAGE, MADV_DONTNEED))
		die("MADV_DONTNEED");
	memset(w->version + r.first, 0, r.count * sizeof(*w->version));
}

static void op_remap(struct worker *w)
{
	struct range r = some_range(w, RANGE_MAX);

	if (mmap(at(w, r.first), r.count * PAGE, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED)
		die("mmap");
	memset(w->version + r.first, 0, r.count * sizeof(*w->version));
}

static void move_page(unsigned char *from, unsigned char *to, int flags)
{
	if (mremap(from, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED | flags, to) != to)
		die("mremap");
}

/*
 * A range moves away and back, page by page, because it may be of several VMAs; it leaves no
 * hole that another thread's mmap() could take.
 */
static void op_mremap(struct worker *w)
{
	struct range r = some_range(w, RANGE_MAX);
	unsigned char *away;
	uint64_t i;

	away = mmap(NULL, r.count * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (away == MAP_FAILED)
		die("mmap");
	for (i = 0; i < r.count; i++)
		move_page(at(w, r.first + i), away + i * PAGE, MREMAP_DONTUNMAP);
	if (below(w, 2))
		for (i = 0; i < r.count; i++)
			check_at(w, away + i * PAGE, r.first + i);
	for (i = 0; i < r.count; i++)
		move_page(away + i * PAGE, at(w, r.first + i), MREMAP_DONTUNMAP);
	if (munmap(away, r.count * PAGE))
		die("munmap");
}

static void op_mprotect(struct worker *w)
{
	struct range r = some_range(w, RANGE_MAX);

	if (mprotect(at(w, r.first), r.count * PAGE, PROT_READ))
		die("mprotect");
	check_at(w, at(w, r.first), r.first);
	if (mprotect(at(w, r.first), r.count * PAGE, PROT_READ | PROT_WRITE))
		die("mprotect");
	write_one(w, r.first);
}

static void op_mlock(struct worker *w)
{
	struct range r = some_range(w, RANGE_MAX);

	if (mlock(at(w, r.first), r.count * PAGE))
		return;	/* the limit */
	check_at(w, at(w, r.first), r.first);
	if (munlock(at(w, r.first), r.count * PAGE))
		die("munlock");
}

static void op_vmsplice(struct worker *w)
{
	struct range r = some_range(w, PIPE_PAGES);
	struct iovec iov = { .iov_base = at(w, r.first), .iov_len = r.count * PAGE };
	ssize_t len, got = 0, n;
	uint64_t i;
	int p[2];

	if (pipe(p))
		die("pipe");
	len = vmsplice(p[1], &iov, 1, 0);
	if (len < 0)
		die("vmsplice");
	if (below(w, 2))
		madvise(at(w, r.first), r.count * PAGE, MADV_PAGEOUT);
	for (; got < len; got += n) {
		n = read(p[0], w->bounce + got, len - got);
		if (n <= 0)
			die("read of a pipe");
	}
	for (i = 0; i < (uint64_t)len / PAGE; i++)
		check_at(w, w->bounce + i * PAGE, r.first + i);
	close(p[0]);
	close(p[1]);
}

static off_t file_offset(struct worker *w)
{
	return (off_t)w->nr * RANGE_MAX * PAGE;
}

static void check_file(struct worker *w, struct range r)
{
	ssize_t len = r.count * PAGE;
	uint64_t i;

	if (pread(w->fd, w->bounce, len, file_offset(w)) != len)
		die("direct read");
	for (i = 0; i < r.count; i++)
		check_at(w, w->bounce + i * PAGE, r.first + i);
}

/* Out of the region and into it, by direct I/O */
static void op_direct(struct worker *w)
{
	struct range r = some_range(w, RANGE_MAX);
	ssize_t len = r.count * PAGE;

	if (w->fd < 0)
		return;
	if (pwrite(w->fd, at(w, r.first), len, file_offset(w)) != len)
		die("direct write");
	check_file(w, r);
	if (madvise(at(w, r.first), len, MADV_PAGEOUT))
		die("MADV_PAGEOUT");
	if (pread(w->fd, at(w, r.first), len, file_offset(w)) != len)
		die("direct read");
}

struct ring {
	int fd;
	unsigned char *sq, *cq;
	struct io_uring_sqe *sqe;
	struct io_uring_params p;
};

static bool ring_open(struct ring *ring)
{
	memset(ring, 0, sizeof(*ring));
	ring->fd = syscall(__NR_io_uring_setup, 1, &ring->p);
	if (ring->fd < 0)
		return false;
	ring->sq = mmap(NULL, ring->p.sq_off.array + sizeof(unsigned int), PROT_READ | PROT_WRITE,
			MAP_SHARED, ring->fd, IORING_OFF_SQ_RING);
	ring->cq = mmap(NULL, ring->p.cq_off.cqes + ring->p.cq_entries *
			sizeof(struct io_uring_cqe), PROT_READ | PROT_WRITE, MAP_SHARED, ring->fd,
			IORING_OFF_CQ_RING);
	ring->sqe = mmap(NULL, sizeof(*ring->sqe), PROT_READ | PROT_WRITE, MAP_SHARED, ring->fd,
			 IORING_OFF_SQES);
	if (ring->sq == MAP_FAILED || ring->cq == MAP_FAILED || ring->sqe == MAP_FAILED)
		die("mmap of io_uring");
	return true;
}

static void ring_close(struct ring *ring)
{
	munmap(ring->sq, ring->p.sq_off.array + sizeof(unsigned int));
	munmap(ring->cq, ring->p.cq_off.cqes + ring->p.cq_entries * sizeof(struct io_uring_cqe));
	munmap(ring->sqe, sizeof(*ring->sqe));
	close(ring->fd);
}

static int ring_write_fixed(struct ring *ring, int fd, const struct iovec *iov, off_t offset)
{
	unsigned int *tail = (unsigned int *)(ring->sq + ring->p.sq_off.tail);
	unsigned int *array = (unsigned int *)(ring->sq + ring->p.sq_off.array);
	struct io_uring_cqe *cqe = (struct io_uring_cqe *)(ring->cq + ring->p.cq_off.cqes);

	memset(ring->sqe, 0, sizeof(*ring->sqe));
	ring->sqe->opcode = IORING_OP_WRITE_FIXED;
	ring->sqe->fd = fd;
	ring->sqe->off = offset;
	ring->sqe->addr = (uintptr_t)iov->iov_base;
	ring->sqe->len = iov->iov_len;
	*array = 0;
	__atomic_store_n(tail, *tail + 1, __ATOMIC_RELEASE);
	if (syscall(__NR_io_uring_enter, ring->fd, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0) != 1)
		die("io_uring_enter");
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	return cqe->res;
}

/* Long-term pins: fixed buffers of io_uring; the pages change meanwhile */
static void op_io_uring(struct worker *w)
{
	struct range r = some_range(w, PIPE_PAGES);
	struct iovec iov = { .iov_base = at(w, r.first), .iov_len = r.count * PAGE };
	struct ring ring;

	if (w->fd < 0 || !ring_open(&ring))
		return;
	if (!syscall(__NR_io_uring_register, ring.fd, IORING_REGISTER_BUFFERS, &iov, 1)) {
		if (below(w, 2))
			madvise(at(w, r.first), r.count * PAGE, MADV_PAGEOUT);
		write_one(w, r.first);
		if (ring_write_fixed(&ring, w->fd, &iov, file_offset(w)) != (int)iov.iov_len)
			die("write of a fixed buffer");
		check_file(w, r);
	} else if (errno != ENOMEM) {
		die("io_uring_register");
	}
	ring_close(&ring);
}

/* Child and parent write to the same pages; the child's view is what was there at fork */
static void op_fork(struct worker *w)
{
	struct range mine = some_range(w, RANGE_MAX), its = some_range(w, RANGE_MAX);
	struct range look = some_range(w, RANGE_MAX * 8);
	int status;
	pid_t pid;

	if (below(w, 2))
		op_pageout(w);
	pid = fork();
	if (pid < 0)
		die("fork");
	if (!pid) {
		/* The model is the child's own, too. */
		w->wrong = 0;
		while (its.count--)
			write_one(w, its.first++);
		for (; look.count--; look.first++)
			check_at(w, at(w, look.first), look.first);
		_exit(w->wrong ? EXIT_WRONG_DATA : EXIT_OK);
	}
	while (mine.count--)
		write_one(w, mine.first++);
	for (; look.count--; look.first++)
		check_at(w, at(w, look.first), look.first);
	if (waitpid(pid, &status, 0) != pid)
		die("waitpid");
	if (!WIFEXITED(status) || WEXITSTATUS(status)) {
		fprintf(stderr, "thread %u: a child ended with status %#x\n", w->nr, status);
		w->wrong++;
	}
}

static const struct {
	void (*op)(struct worker *w);
	unsigned int weight;
} ops[] = {
	{ op_write, 20 }, { op_check, 20 }, { op_check_scattered, 10 }, { op_pageout, 25 },
	{ op_dontneed, 5 }, { op_remap, 3 }, { op_mremap, 4 }, { op_mprotect, 4 }, { op_mlock, 2 },
	{ op_vmsplice, 3 }, { op_direct, 3 }, { op_io_uring, 1 }, { op_fork, 1 },
};

static void some_op(struct worker *w)
{
	uint64_t dice, i;
	unsigned int all = 0;

	for (i = 0; i < sizeof(ops) / sizeof(ops[0]); i++)
		all += ops[i].weight;
	dice = below(w, all);
	for (i = 0; dice >= ops[i].weight; i++)
		dice -= ops[i].weight;
	ops[i].op(w);
}

static void *work(void *arg)
{
	struct worker *w = arg;
	unsigned long i;

	for (i = 0; i < opt.ops && !w->wrong && !stop; i++)
		some_op(w);
	if (w->wrong)
		fprintf(stderr, "thread %u: wrong in or before operation %lu\n", w->nr, i);
	for (i = 0; i < w->pages; i++)
		check_at(w, at(w, i), i);
	return NULL;
}

static void set_up(struct worker *w, unsigned int nr)
{
	w->nr = nr;
	w->random = mix64(opt.seed) + nr;
	w->pages = opt.size / PAGE;
	w->addr = mmap(NULL, opt.size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	w->bounce = mmap(NULL, RANGE_MAX * PAGE, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	w->version = calloc(w->pages, sizeof(*w->version));
	if (w->addr == MAP_FAILED || w->bounce == MAP_FAILED || !w->version)
		die("memory");
	/* Every other thread has huge pages, if they are to be had */
	madvise(w->addr, opt.size, nr % 2 ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
	w->fd = -1;
	if (opt.file) {
		w->fd = open(opt.file, O_RDWR | O_DIRECT);
		if (w->fd < 0)
			die("open %s", opt.file);
	}
}

static void parse(int argc, char **argv)
{
	static const struct option options[] = {
		{ "size", required_argument, NULL, 's' },
		{ "seed", required_argument, NULL, 'r' },
		{ "threads", required_argument, NULL, 't' },
		{ "ops", required_argument, NULL, 'o' },
		{ "file", required_argument, NULL, 'f' },
		{ "text", no_argument, NULL, 'x' },
		{},
	};
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) >= 0) {
		switch (c) {
		case 's':
			opt.size = parse_size(optarg);
			break;
		case 'r':
			opt.seed = parse_number(optarg);
			break;
		case 't':
			opt.threads = (unsigned int)parse_number(optarg);
			break;
		case 'o':
			opt.ops = parse_number(optarg);
			break;
		case 'f':
			opt.file = optarg;
			break;
		case 'x':
			opt.text = true;
			break;
		default:
			exit(EXIT_SETUP);
		}
	}
	if (optind != argc || !opt.threads || opt.size < RANGE_MAX * 16 * PAGE) {
		fprintf(stderr, "usage: torture [--size BYTES] [--seed N] [--threads N] %s\n",
			"[--ops N] [--file FILE] [--text]");
		exit(EXIT_SETUP);
	}
}

int main(int argc, char **argv)
{
	unsigned long wrong = 0;
	struct worker *workers;
	unsigned int i;

	parse(argc, argv);
	workers = calloc(opt.threads, sizeof(*workers));
	if (!workers)
		die("memory");
	for (i = 0; i < opt.threads; i++)
		set_up(&workers[i], i);
	stop_on_term();
	for (i = 0; i < opt.threads; i++)
		if (pthread_create(&workers[i].thread, NULL, work, &workers[i]))
			die("pthread_create");
	let_term_in();
	for (i = 0; i < opt.threads; i++) {
		pthread_join(workers[i].thread, NULL);
		wrong += workers[i].wrong;
	}
	printf("torture: seed %" PRIu64 ", %u threads of %lu operations, wrong %lu\n", opt.seed,
	       opt.threads, opt.ops, wrong);
	return wrong ? EXIT_WRONG_DATA : EXIT_OK;
}
