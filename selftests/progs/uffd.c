// SPDX-License-Identifier: GPL-2.0-only
/*
 * userfaultfd on memory that is swapped out and mapped in: its handler sees what it must, no more.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <pthread.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/swap.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "area.h"

#define PAGES	64

/* Newer than the headers may be */
#ifndef UFFD_FEATURE_WP_UNPOPULATED
#define UFFD_FEATURE_WP_UNPOPULATED	(1 << 13)
#endif
#ifndef UFFD_FEATURE_WP_ASYNC
#define UFFD_FEATURE_WP_ASYNC	(1 << 15)
#endif
#ifndef UFFD_FEATURE_MOVE
#define UFFD_FEATURE_MOVE	(1 << 16)
#define UFFDIO_MOVE		_IOWR(UFFDIO, 0x05, struct uffdio_move)
struct uffdio_move {
	__u64 dst;
	__u64 src;
	__u64 len;
	__u64 mode;
	__s64 move;
};
#endif

/* What the handler was asked, by page */
struct seen {
	unsigned int wp;
	unsigned int missing;
	unsigned int minor;
};

static int uffd = -1;
static int stop[2];
static pthread_t handler;
static struct area area;
static struct seen seen[PAGES];

static void resolve(unsigned char *page, uint64_t flags)
{
	uint64_t i = (page - area.addr) / PAGE;
	struct uffdio_range range = { .start = (uintptr_t)page, .len = PAGE };
	int err;

	if (i >= PAGES)
		fail("an event for page %" PRIu64, i);
	if (flags & UFFD_PAGEFAULT_FLAG_WP) {
		struct uffdio_writeprotect wp = { .range = range };

		seen[i].wp++;
		err = ioctl(uffd, UFFDIO_WRITEPROTECT, &wp);
	} else if (flags & UFFD_PAGEFAULT_FLAG_MINOR) {
		struct uffdio_continue cont = { .range = range };

		seen[i].minor++;
		err = ioctl(uffd, UFFDIO_CONTINUE, &cont);
	} else {
		static unsigned char data[PAGE] __attribute__((aligned(PAGE)));
		struct uffdio_copy copy = {
			.dst = range.start, .src = (uintptr_t)data, .len = PAGE,
		};

		seen[i].missing++;
		area_compose(&area, i, KIND_RANDOM, data);
		err = ioctl(uffd, UFFDIO_COPY, &copy);
	}
	if (err)
		die("answer for page %" PRIu64, i);
}

static void *handle(void *unused)
{
	struct pollfd fds[2] = {
		{ .fd = uffd, .events = POLLIN }, { .fd = stop[0], .events = POLLIN },
	};
	struct uffd_msg msg;

	while (poll(fds, 2, -1) > 0 && !fds[1].revents) {
		if (read(uffd, &msg, sizeof(msg)) != sizeof(msg))
			continue;
		if (msg.event != UFFD_EVENT_PAGEFAULT)
			fail("event %#x", msg.event);
		resolve((unsigned char *)(uintptr_t)(msg.arg.pagefault.address & -PAGE),
			msg.arg.pagefault.flags);
	}
	return unused;
}

static void open_uffd(uint64_t features)
{
	struct uffdio_api api = { .api = UFFD_API, .features = features };

	uffd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	if (uffd < 0)
		skip("no userfaultfd: %s", strerrorname_np(errno));
	if (ioctl(uffd, UFFDIO_API, &api))
		skip("no feature %#llx of userfaultfd", (unsigned long long)features);
}

static void start_handler(void)
{
	if (pipe(stop) || pthread_create(&handler, NULL, handle, NULL))
		die("handler");
}

static void stop_handler(void)
{
	if (write(stop[1], "", 1) != 1 || pthread_join(handler, NULL))
		die("handler");
	close(uffd);
}

static void watch(const struct area *a, uint64_t mode)
{
	struct uffdio_register reg = {
		.range = { .start = (uintptr_t)a->addr, .len = a->pages * PAGE }, .mode = mode,
	};

	if (ioctl(uffd, UFFDIO_REGISTER, &reg))
		die("UFFDIO_REGISTER");
}

static void protect(uint64_t i, bool on)
{
	struct uffdio_writeprotect wp = {
		.range = { .start = (uintptr_t)area_page(&area, i), .len = PAGE },
		.mode = on ? UFFDIO_WRITEPROTECT_MODE_WP : 0,
	};

	if (ioctl(uffd, UFFDIO_WRITEPROTECT, &wp))
		die("UFFDIO_WRITEPROTECT");
}

/* About half of them, without order */
static bool is_protected(uint64_t i)
{
	return mix64(i + 1000) & 1;
}

static void protect_some(void)
{
	uint64_t i;

	for (i = 0; i < PAGES; i++)
		if (is_protected(i))
			protect(i, true);
}

static void check_bits(void)
{
	uint64_t i;

	for (i = 0; i < PAGES; i++)
		if (!(pagemap_of(area_page(&area, i)) & PM_UFFD_WP) == is_protected(i))
			fail("page %" PRIu64 " is %sprotected", i, is_protected(i) ? "not " : "");
}

/* Who was asked for, and how often: those in question once, the others never */
static void check_events(bool (*expected)(uint64_t i), size_t offset)
{
	uint64_t i;

	for (i = 0; i < PAGES; i++) {
		unsigned int n = *(unsigned int *)((char *)&seen[i] + offset);

		if (n != (expected && expected(i)))
			fail("%u events for page %" PRIu64, n, i);
	}
}

static void check_all_events(bool (*wp)(uint64_t), bool (*missing)(uint64_t),
			     bool (*minor)(uint64_t))
{
	check_events(wp, offsetof(struct seen, wp));
	check_events(missing, offsetof(struct seen, missing));
	check_events(minor, offsetof(struct seen, minor));
}

/* Write-protected pages, all of them swapped out */
static void start_wp(uint64_t features)
{
	area_new(&area, PAGES, 0);
	area_fill(&area, KIND_RANDOM);
	open_uffd(UFFD_FEATURE_PAGEFAULT_FLAG_WP | features);
	watch(&area, UFFDIO_REGISTER_MODE_WP);
	protect_some();
	area_out(&area);
	check_bits();
	if (!(features & UFFD_FEATURE_WP_ASYNC))
		start_handler();
}

static void check_lent(uint64_t around)
{
	struct counters c;

	same("pages lent", area_count(&area, LENT), PAGES);
	read_counters(&c);
	same("lent_pages", c.lent, PAGES);
	if (around)
		same("mapped_in_pages", c.mapped_in, PAGES / around);
	same("mapped_in_pages and mapped_around_pages", c.mapped_in + c.mapped_around, PAGES);
}

static void write_all(void)
{
	area_fill(&area, KIND_RANDOM);
	area_check(&area);
	check_all_events(is_protected, NULL, NULL);
}

static void wp_read(const uint64_t *arg)
{
	start_wp(0);
	area_check(&area);
	check_lent(arg[0]);
	check_bits();
	check_all_events(NULL, NULL, NULL);
	write_all();
	check_lent(arg[0]);
	stop_handler();
}

/* The first access is a write: of pages that are out, or that came in with a neighbour */
static void wp_write(const uint64_t *arg)
{
	start_wp(0);
	write_all();
	check_lent(arg[0]);
	stop_handler();
}

/* Protected, and not any more, while they are out */
static void wp_while_out(const uint64_t *arg)
{
	uint64_t i;

	(void)arg;
	area_new(&area, PAGES, 0);
	area_fill(&area, KIND_RANDOM);
	open_uffd(UFFD_FEATURE_PAGEFAULT_FLAG_WP);
	watch(&area, UFFDIO_REGISTER_MODE_WP);
	for (i = 0; i < PAGES; i++)
		if (!is_protected(i))
			protect(i, true);
	area_out(&area);
	for (i = 0; i < PAGES; i++)
		protect(i, is_protected(i));
	same("pages out", area_count(&area, SWAPPED), PAGES);
	start_handler();
	area_check(&area);
	check_bits();
	write_all();
	check_lent(0);
	stop_handler();
}

/* ... while they are lent; and again after they were written to */
static void wp_while_lent(const uint64_t *arg)
{
	uint64_t i;

	(void)arg;
	area_new(&area, PAGES, 0);
	area_fill(&area, KIND_RANDOM);
	area_out(&area);
	area_check(&area);
	check_lent(0);
	open_uffd(UFFD_FEATURE_PAGEFAULT_FLAG_WP);
	watch(&area, UFFDIO_REGISTER_MODE_WP);
	protect_some();
	start_handler();
	write_all();
	memset(seen, 0, sizeof(seen));
	for (i = 0; i < PAGES; i++)
		protect(i, is_protected(i));
	check_bits();
	write_all();
	check_lent(0);
	stop_handler();
}

static void wp_async(const uint64_t *arg)
{
	uint64_t i;

	(void)arg;
	start_wp(UFFD_FEATURE_WP_ASYNC);
	area_check(&area);
	check_lent(0);
	check_bits();
	for (i = 0; i < PAGES; i += 2)
		area_write(&area, i, KIND_RANDOM);
	for (i = 0; i < PAGES; i++)
		if (!(pagemap_of(area_page(&area, i)) & PM_UFFD_WP) == (is_protected(i) && i % 2))
			fail("page %" PRIu64 ": written %d, but the marker says otherwise", i,
			     !(i % 2));
	area_check(&area);
	close(uffd);
}

/* The marker moves with the page */
static void wp_drain(const uint64_t *arg)
{
	(void)arg;
	start_wp(0);
	area_check(&area);
	check_lent(0);
	drain();
	same("pages in DRAM", area_count(&area, DRAM), PAGES);
	check_bits();
	write_all();
	stop_handler();
}

/* swapoff maps what is out */
static void wp_swapoff(const uint64_t *arg)
{
	(void)arg;
	start_wp(0);
	if (swapoff(getenv("LENT_DEVICE")))
		die("swapoff");
	same("pages lent", area_count(&area, LENT), PAGES);
	check_bits();
	area_check(&area);
	check_all_events(NULL, NULL, NULL);
	write_all();
	stop_handler();
}

/* A child isn't watched: it writes without being stopped, and the parent is as before */
static void wp_fork(const uint64_t *arg)
{
	int status;
	pid_t pid;

	start_wp(0);
	if (arg[0])
		area_check(&area);
	pid = fork();
	if (pid < 0)
		die("fork");
	if (!pid) {
		alarm(60);
		area_check(&area);
		area_fill(&area, KIND_RANDOM);
		area_check(&area);
		_exit(EXIT_OK);
	}
	if (waitpid(pid, &status, 0) != pid)
		die("waitpid");
	same("status of the child", (uint64_t)status, 0);
	check_all_events(NULL, NULL, NULL);
	area_check(&area);
	check_bits();
	write_all();
	stop_handler();
}

static bool is_hole(uint64_t i)
{
	return !is_protected(i);
}

/* New memory: some of it was written and is out, the rest was never touched */
static void start_holes(void)
{
	uint64_t i;

	area_new(&area, PAGES, 0);
	for (i = 0; i < PAGES; i++) {
		if (is_hole(i))
			continue;
		area_write(&area, i, KIND_RANDOM);
		range_out(&area, i, 1);
	}
}

static void check_between_holes(void)
{
	uint64_t i;

	for (i = 0; i < PAGES; i++)
		if (!is_hole(i))
			area_check_page(&area, i);
}

/* Pages that are out aren't missing, and neighbours that are stay so */
static void missing(const uint64_t *arg)
{
	uint64_t i;

	(void)arg;
	start_holes();
	open_uffd(0);
	watch(&area, UFFDIO_REGISTER_MODE_MISSING);
	start_handler();
	check_between_holes();
	for (i = 0; i < PAGES; i++)
		same("where it is", where_is(area_page(&area, i)), is_hole(i) ? NOWHERE : LENT);
	check_all_events(NULL, NULL, NULL);
	for (i = 0; i < PAGES; i++)
		area_touch(&area, i);
	check_all_events(NULL, is_hole, NULL);
	area_check(&area);
	area_fill(&area, KIND_RANDOM);
	area_check(&area);
	check_all_events(NULL, is_hole, NULL);
	stop_handler();
}

static bool is_any(uint64_t i)
{
	return i < PAGES;
}

/* Where there is no page a marker remembers the protection; neighbours leave it alone */
static void wp_holes(const uint64_t *arg)
{
	uint64_t i;

	(void)arg;
	start_holes();
	open_uffd(UFFD_FEATURE_PAGEFAULT_FLAG_WP | UFFD_FEATURE_WP_UNPOPULATED);
	watch(&area, UFFDIO_REGISTER_MODE_WP);
	for (i = 0; i < PAGES; i++)
		protect(i, true);
	start_handler();
	check_between_holes();
	for (i = 0; i < PAGES; i++) {
		if (!is_hole(i))
			same("where it is", where_is(area_page(&area, i)), LENT);
		if (!(pagemap_of(area_page(&area, i)) & PM_UFFD_WP))
			fail("page %" PRIu64 " is not protected", i);
	}
	area_fill(&area, KIND_RANDOM);
	area_check(&area);
	check_all_events(is_any, NULL, NULL);
	stop_handler();
}

/* A page of shared memory that is out comes in by copying, and the handler maps it */
static void minor(const uint64_t *arg)
{
	int fd = memfd_create("minor", MFD_CLOEXEC);
	struct area mirror;
	struct counters c;
	uint64_t written;
	uint64_t i;
	void *addr;

	(void)arg;
	if (fd < 0 || ftruncate(fd, PAGES * PAGE))
		die("memfd");
	addr = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (addr == MAP_FAILED)
		die("mmap");
	area_at(&mirror, addr, PAGES);
	area_fill(&mirror, KIND_RANDOM);
	addr = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (addr == MAP_FAILED)
		die("mmap");
	area_at(&area, addr, PAGES);
	area.seed = mirror.seed;
	free(area.model);
	area.model = mirror.model;
	written = stat_of("written_pages");
	if (madvise(mirror.addr, PAGES * PAGE, MADV_PAGEOUT))
		die("MADV_PAGEOUT");
	at_least("written_pages", stat_of("written_pages") - written, PAGES / 2);

	open_uffd(UFFD_FEATURE_MINOR_SHMEM);
	watch(&area, UFFDIO_REGISTER_MODE_MINOR);
	start_handler();
	for (i = 0; i < PAGES; i++)
		area_check_page(&area, i);
	check_all_events(NULL, NULL, is_any);
	area_fill(&area, KIND_RANDOM);
	area_check(&mirror);
	check_all_events(NULL, NULL, is_any);
	read_counters(&c);
	same("lent_pages", c.lent, 0);
	at_least("copied_in_pages", c.copied_in, PAGES / 2);
	stop_handler();
}

/* UFFDIO_MOVE of pages that are out, or lent, into another VMA, where the windows are others */
static void move(const uint64_t *arg)
{
	struct area from;
	uint64_t i;

	area_new(&area, PAGES, 5);
	area_new(&from, PAGES, 3);
	area_fill(&from, KIND_RANDOM);
	area_out(&from);
	if (arg[0])
		area_check(&from);
	open_uffd(UFFD_FEATURE_MOVE);
	watch(&area, UFFDIO_REGISTER_MODE_MISSING);
	for (i = 0; i < PAGES; i++) {
		struct uffdio_move m = {
			.dst = (uintptr_t)area_page(&area, i),
			.src = (uintptr_t)area_page(&from, i), .len = PAGE,
		};

		if (ioctl(uffd, UFFDIO_MOVE, &m))
			die("UFFDIO_MOVE of page %" PRIu64 " that was %s", i,
			    where_name(where_is(area_page(&from, i))));
		same("the page that moved is",
		     where_is(area_page(&area, i)), arg[0] ? LENT : SWAPPED);
	}
	area.seed = from.seed;
	free(area.model);
	area.model = from.model;
	area_check(&area);
	check_lent(0);
	same("pages left behind", area_count(&from, NOWHERE), PAGES);
	/* Found through the new VMA */
	munmap(from.addr, PAGES * PAGE);
	drain();
	same("pages in DRAM", area_count(&area, DRAM), PAGES);
	area_check(&area);
	area_fill(&area, KIND_RANDOM);
	area_check(&area);
	close(uffd);
}

static const struct test_case cases[] = {
	{ "wp-read", wp_read },
	{ "wp-write", wp_write },
	{ "wp-while-out", wp_while_out },
	{ "wp-while-lent", wp_while_lent },
	{ "wp-async", wp_async },
	{ "wp-drain", wp_drain },
	{ "wp-swapoff", wp_swapoff },
	{ "wp-fork", wp_fork },
	{ "wp-holes", wp_holes },
	{ "missing", missing },
	{ "minor", minor },
	{ "move", move },
	{}
};

int main(int argc, char **argv)
{
	return run_case(cases, argc, argv);
}
