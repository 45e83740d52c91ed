// SPDX-License-Identifier: GPL-2.0-only
/*
 * A process whose memory a test drives by commands on stdin, one reply a line.
 */

/**
 * DOC: commands
 *
 * A region is named by one letter. FIRST and COUNT are pages; without them the whole
 * region is meant. The reply is "ok ..." or "fail ...". After the last command's line (or
 * end of file) the program exits; status 0 unless a reply was "fail".
 *
 *   map R SIZE [huge|nohuge]      anonymous private memory, aligned to 2 MiB
 *   mapfile R SIZE PATH           shared mapping of a file, made anew, or of a block device
 *   fill R SEED KIND [FIRST COUNT]  random, same, zero, almost, mixed
 *   verify R                      every byte, as filled; 0 where zapped or never filled
 *   survey R                      as verify; "ok INTACT UNREADABLE WRONG" pages
 *   pageout R [FIRST COUNT]       MADV_PAGEOUT
 *   poison R [FIRST COUNT]        MADV_HWPOISON; "ok 0" or "ok ERROR"
 *   pin R [FIRST COUNT]           vmsplice into a pipe: at most 16 pages, one range at a time
 *   unpin R                       close the pipe
 *   longpin R [FIRST COUNT]       a fixed buffer of io_uring; "ok 0" or "ok ERROR"
 *   unlongpin R                   close the ring
 *   swapped R, present R          pages that are so (/proc/self/pagemap)
 *   zap R [FIRST COUNT]           MADV_DONTNEED (anonymous), MADV_REMOVE (file)
 *   unmap R [FIRST COUNT]         munmap; those pages are not verified any more
 *   move R SIZE                   mremap to a new place and size
 *   lock R, unlock R              mlock, munlock
 *   merge R, unmerge R            MADV_MERGEABLE, MADV_UNMERGEABLE
 *   readonly R                    mprotect; fill makes it writable again
 *   huge R                        KiB of huge pages in it (smaps)
 *   forkcow R CHILDREN            all verify; children and parent rewrite different
 *                                 pages at the same time; all verify again
 *   forkhold R                    a child that keeps the memory until "forkend":
 *   forkend R                     it then verifies what it had when it was forked
 *   quit
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/io_uring.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include "common.h"

#define HUGE		(2UL << 20)
#define NR_REGIONS	26

struct page_state {
	uint32_t version;	/* 0: zeros */
	uint16_t seed;
	uint8_t kind;
	uint8_t gone;
};

struct region {
	unsigned char *addr;
	uint64_t pages;
	struct page_state *state;
	bool file;
	pid_t child;
	int hold_fd;
};

static struct region regions[NR_REGIONS];
static bool failed;
static sigjmp_buf on_bus_jump;
static volatile sig_atomic_t may_bus;

static void __attribute__((format(printf, 2, 3)))
reply(bool ok, const char *fmt, ...)
{
	va_list ap;

	fputs(ok ? "ok " : "fail ", stdout);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
	fflush(stdout);
	failed |= !ok;
}

static void reply_errno(int ret, const char *what)
{
	reply(!ret, "%s %s", what, ret ? strerrorname_np(errno) : "0");
}

static void on_bus(int sig)
{
	(void)sig;
	if (may_bus)
		siglongjmp(on_bus_jump, 1);
	_exit(EXIT_IO);
}

static struct page_state *new_state(uint64_t pages)
{
	struct page_state *state = mmap(NULL, pages * sizeof(*state),
					PROT_READ | PROT_WRITE,
					MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (state == MAP_FAILED)
		die("mmap");
	return state;
}

static void do_map(struct region *r, uint64_t size, const char *how)
{
	unsigned char *addr;

	r->pages = size / PAGE;
	addr = mmap(NULL, size + HUGE, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (addr == MAP_FAILED) {
		reply_errno(-1, "mmap");
		return;
	}
	r->addr = (unsigned char *)(((uintptr_t)addr + HUGE - 1) & ~(HUGE - 1));
	r->file = false;
	r->state = new_state(r->pages);
	if (how && madvise(r->addr, size, strcmp(how, "huge") ?
			   MADV_NOHUGEPAGE : MADV_HUGEPAGE)) {
		reply_errno(-1, "madvise");
		return;
	}
	reply(true, "%" PRIu64 " pages", r->pages);
}

static void do_mapfile(struct region *r, uint64_t size, const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) ||
	    (!S_ISBLK(st.st_mode) && ftruncate(fd, (off_t)size))) {
		reply_errno(-1, path);
		return;
	}
	r->pages = size / PAGE;
	r->addr = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (r->addr == MAP_FAILED)
		die("mmap %s", path);
	close(fd);
	r->file = true;
	r->state = new_state(r->pages);
	reply(true, "%" PRIu64 " pages", r->pages);
}

static void write_page(struct region *r, uint64_t i, uint16_t seed, enum kind kind)
{
	struct page_state *s = &r->state[i];

	s->version++;
	s->seed = seed;
	s->kind = (uint8_t)kind;
	page_fill(r->addr + i * PAGE, s->seed, i, s->version, kind);
}

static unsigned long check_page(struct region *r, uint64_t i)
{
	struct page_state *s = &r->state[i];

	return page_check(r->addr + i * PAGE, s->seed, i, s->version,
			  s->version ? s->kind : KIND_ZERO);
}

static unsigned long check_all(struct region *r)
{
	unsigned long wrong = 0;
	uint64_t i;

	for (i = 0; i < r->pages; i++)
		if (!r->state[i].gone)
			wrong += check_page(r, i);
	return wrong;
}

static void do_survey(struct region *r)
{
	volatile uint64_t intact = 0, unreadable = 0, wrong = 0;
	volatile uint64_t i;

	for (i = 0; i < r->pages; i++) {
		if (r->state[i].gone)
			continue;
		may_bus = 1;
		if (sigsetjmp(on_bus_jump, 1))
			unreadable++;
		else if (check_page(r, i))
			wrong++;
		else
			intact++;
		may_bus = 0;
	}
	reply(!wrong, "%" PRIu64 " %" PRIu64 " %" PRIu64, intact, unreadable, wrong);
}

/* Pages of the region whose pagemap entry has @bit: 62 swapped, 63 present. */
static void do_count(struct region *r, unsigned int bit)
{
	uint64_t entries[512], i, n, count = 0;
	int fd = open("/proc/self/pagemap", O_RDONLY);
	ssize_t got;

	if (fd < 0)
		die("pagemap");
	for (i = 0; i < r->pages; i += n) {
		n = r->pages - i < 512 ? r->pages - i : 512;
		got = pread(fd, entries, n * sizeof(entries[0]),
			    (off_t)(((uintptr_t)r->addr / PAGE + i) *
				    sizeof(entries[0])));
		if (got != (ssize_t)(n * sizeof(entries[0])))
			die("read pagemap");
		for (got = 0; got < (ssize_t)n; got++)
			count += entries[got] >> bit & 1;
	}
	close(fd);
	reply(true, "%" PRIu64, count);
}

static void do_huge(struct region *r)
{
	uintptr_t first = (uintptr_t)r->addr, last = first + r->pages * PAGE;
	unsigned long from, to, kib = 0, n;
	bool inside = false;
	char line[512];
	FILE *f = fopen("/proc/self/smaps", "r");

	if (!f)
		die("smaps");
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%lx-%lx ", &from, &to) == 2)
			inside = from < last && to > first;
		else if (inside && sscanf(line, "AnonHugePages: %lu", &n) == 1)
			kib += n;
	}
	fclose(f);
	reply(true, "%lu", kib);
}

static void do_move(struct region *r, uint64_t size)
{
	struct page_state *state;
	unsigned char *addr;
	uint64_t pages = size / PAGE;

	/* A place of our own choosing, so that it really moves. */
	addr = mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (addr == MAP_FAILED)
		die("mmap");
	addr = mremap(r->addr, r->pages * PAGE, size,
		      MREMAP_MAYMOVE | MREMAP_FIXED, addr);
	if (addr == MAP_FAILED) {
		reply_errno(-1, "mremap");
		return;
	}
	state = new_state(pages);
	memcpy(state, r->state,
	       (pages < r->pages ? pages : r->pages) * sizeof(*state));
	munmap(r->state, r->pages * sizeof(*state));
	r->state = state;
	r->addr = addr;
	r->pages = pages;
	reply(true, "%" PRIu64 " pages", pages);
}

static int cow_child(struct region *r, unsigned int nr, unsigned int of)
{
	unsigned long wrong = check_all(r);
	uint64_t i;

	for (i = nr; i < r->pages; i += of)
		if (!r->state[i].gone)
			write_page(r, i, (uint16_t)(100 + nr), KIND_RANDOM);
	wrong += check_all(r);
	return wrong ? EXIT_WRONG_DATA : EXIT_OK;
}

static void do_forkcow(struct region *r, unsigned int children)
{
	unsigned int i, bad = 0;
	unsigned long wrong;
	int status;

	for (i = 0; i < children; i++) {
		pid_t pid = fork();

		if (pid < 0)
			die("fork");
		if (!pid)
			_exit(cow_child(r, i + 1, children + 1));
	}
	wrong = (unsigned long)cow_child(r, 0, children + 1);
	for (i = 0; i < children; i++) {
		if (wait(&status) < 0)
			die("wait");
		bad += status != 0;
	}
	/* What the children wrote must not be seen here, later either. */
	wrong += check_all(r);
	reply(!bad && !wrong, "children bad %u, wrong bytes here %lu", bad, wrong);
}

static void do_forkhold(struct region *r)
{
	int fds[2];
	char c;

	if (pipe(fds))
		die("pipe");
	r->child = fork();
	if (r->child < 0)
		die("fork");
	if (!r->child) {
		close(fds[1]);
		if (read(fds[0], &c, 1) < 0)
			_exit(EXIT_SETUP);
		_exit(check_all(r) ? EXIT_WRONG_DATA : EXIT_OK);
	}
	close(fds[0]);
	r->hold_fd = fds[1];
	reply(true, "%d", r->child);
}

static void do_forkend(struct region *r)
{
	int status;

	close(r->hold_fd);
	if (waitpid(r->child, &status, 0) < 0)
		die("waitpid");
	reply(!status, "status %#x", (unsigned int)status);
}

static void do_mark(struct region *r, uint64_t first, uint64_t count, bool gone)
{
	uint64_t i;

	for (i = first; i < first + count; i++) {
		r->state[i].version = 0;
		r->state[i].gone = gone;
	}
}

static int pin_pipe[2] = { -1, -1 };

static void do_pin(struct region *r, uint64_t first, uint64_t count)
{
	struct iovec iov = {
		.iov_base = r->addr + first * PAGE,
		.iov_len = count * PAGE,
	};

	if (pin_pipe[0] >= 0 || first + count > r->pages || count > 16) {
		reply(false, "range");
		return;
	}
	if (pipe(pin_pipe))
		die("pipe");
	reply(vmsplice(pin_pipe[1], &iov, 1, 0) == (ssize_t)iov.iov_len, "pinned");
}

static void do_unpin(void)
{
	close(pin_pipe[0]);
	close(pin_pipe[1]);
	pin_pipe[0] = -1;
	pin_pipe[1] = -1;
	reply(true, "unpinned");
}

static int pin_ring = -1;

static void do_longpin(struct region *r, uint64_t first, uint64_t count)
{
	struct io_uring_params params = {};
	struct iovec iov = {
		.iov_base = r->addr + first * PAGE,
		.iov_len = count * PAGE,
	};

	if (pin_ring >= 0 || first + count > r->pages) {
		reply(false, "range");
		return;
	}
	pin_ring = (int)syscall(__NR_io_uring_setup, 1, &params);
	if (pin_ring < 0)
		die("io_uring_setup");
	if (!syscall(__NR_io_uring_register, pin_ring, IORING_REGISTER_BUFFERS, &iov, 1)) {
		reply(true, "0");
		return;
	}
	reply(true, "%s", strerrorname_np(errno));
	close(pin_ring);
	pin_ring = -1;
}

static void do_unlongpin(void)
{
	close(pin_ring);
	pin_ring = -1;
	reply(true, "unpinned");
}

static void do_range(struct region *r, const char *cmd, uint64_t first, uint64_t count)
{
	unsigned char *addr = r->addr + first * PAGE;
	size_t size = count * PAGE;
	int ret;

	if (first + count > r->pages) {
		reply(false, "range");
		return;
	}
	if (!strcmp(cmd, "pageout")) {
		ret = madvise(addr, size, MADV_PAGEOUT);
	} else if (!strcmp(cmd, "poison")) {
		ret = madvise(addr, size, MADV_HWPOISON);
		reply(true, "%s", ret ? strerrorname_np(errno) : "0");
		return;
	} else if (!strcmp(cmd, "zap")) {
		ret = madvise(addr, size, r->file ? MADV_REMOVE : MADV_DONTNEED);
		do_mark(r, first, count, false);
	} else {
		ret = munmap(addr, size);
		do_mark(r, first, count, true);
	}
	reply_errno(ret, cmd);
}

static void do_fill(struct region *r, uint16_t seed, enum kind kind,
		    uint64_t first, uint64_t count)
{
	uint64_t i;

	if (first + count > r->pages) {
		reply(false, "range");
		return;
	}
	if (mprotect(r->addr, r->pages * PAGE, PROT_READ | PROT_WRITE)) {
		reply_errno(-1, "mprotect");
		return;
	}
	for (i = first; i < first + count; i++)
		write_page(r, i, seed, kind_of(kind, i));
	reply(true, "%" PRIu64 " pages", count);
}

static void command(int argc, char **argv)
{
	const char *cmd = argv[0];
	struct region *r;
	uint64_t first = 0, count;
	unsigned long wrong;
	int base;

	if (argc < 2 || argv[1][0] < 'a' || argv[1][0] > 'z') {
		reply(false, "usage %s", cmd);
		return;
	}
	r = &regions[argv[1][0] - 'a'];
	base = strcmp(cmd, "fill") ? 2 : 4;
	count = r->pages;
	if (argc == base + 2 && strncmp(cmd, "map", 3)) {
		first = parse_number(argv[base]);
		count = parse_number(argv[base + 1]);
	}

	if (!strcmp(cmd, "map") && argc >= 3) {
		do_map(r, parse_size(argv[2]), argc > 3 ? argv[3] : NULL);
	} else if (!strcmp(cmd, "mapfile") && argc == 4) {
		do_mapfile(r, parse_size(argv[2]), argv[3]);
	} else if (!r->addr) {
		reply(false, "no region %s", argv[1]);
	} else if (!strcmp(cmd, "fill") && argc >= 4) {
		do_fill(r, (uint16_t)parse_number(argv[2]), parse_kind(argv[3]),
			first, count);
	} else if (!strcmp(cmd, "verify")) {
		wrong = check_all(r);
		reply(!wrong, "wrong bytes %lu", wrong);
	} else if (!strcmp(cmd, "survey")) {
		do_survey(r);
	} else if (!strcmp(cmd, "pageout") || !strcmp(cmd, "zap") ||
		   !strcmp(cmd, "poison") || !strcmp(cmd, "unmap")) {
		do_range(r, cmd, first, count);
	} else if (!strcmp(cmd, "pin")) {
		do_pin(r, first, count);
	} else if (!strcmp(cmd, "unpin")) {
		do_unpin();
	} else if (!strcmp(cmd, "longpin")) {
		do_longpin(r, first, count);
	} else if (!strcmp(cmd, "unlongpin")) {
		do_unlongpin();
	} else if (!strcmp(cmd, "swapped")) {
		do_count(r, 62);
	} else if (!strcmp(cmd, "present")) {
		do_count(r, 63);
	} else if (!strcmp(cmd, "huge")) {
		do_huge(r);
	} else if (!strcmp(cmd, "move") && argc == 3) {
		do_move(r, parse_size(argv[2]));
	} else if (!strcmp(cmd, "lock")) {
		reply_errno(mlock(r->addr, r->pages * PAGE), cmd);
	} else if (!strcmp(cmd, "unlock")) {
		reply_errno(munlock(r->addr, r->pages * PAGE), cmd);
	} else if (!strcmp(cmd, "merge")) {
		reply_errno(madvise(r->addr, r->pages * PAGE, MADV_MERGEABLE), cmd);
	} else if (!strcmp(cmd, "unmerge")) {
		reply_errno(madvise(r->addr, r->pages * PAGE, MADV_UNMERGEABLE), cmd);
	} else if (!strcmp(cmd, "readonly")) {
		reply_errno(mprotect(r->addr, r->pages * PAGE, PROT_READ), cmd);
	} else if (!strcmp(cmd, "forkcow") && argc == 3) {
		do_forkcow(r, (unsigned int)parse_number(argv[2]));
	} else if (!strcmp(cmd, "forkhold")) {
		do_forkhold(r);
	} else if (!strcmp(cmd, "forkend")) {
		do_forkend(r);
	} else {
		reply(false, "usage %s", cmd);
	}
}

int main(void)
{
	struct sigaction bus = { .sa_handler = on_bus };
	char line[512], *argv[8], *word, *save;
	int argc;

	if (sigaction(SIGBUS, &bus, NULL))
		die("sigaction");
	while (fgets(line, sizeof(line), stdin)) {
		argc = 0;
		line[strcspn(line, "\n")] = '\0';
		for (word = strtok_r(line, " ", &save); word && argc < 8;
		     word = strtok_r(NULL, " ", &save))
			argv[argc++] = word;
		if (!argc)
			continue;
		if (!strcmp(argv[0], "quit")) {
			reply(true, "bye");
			break;
		}
		command(argc, argv);
	}
	return failed ? EXIT_WRONG_DATA : EXIT_OK;
}
