// SPDX-License-Identifier: GPL-2.0-only
/*
 * For tests of page-in by mapping in C: see area.h.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sys/mman.h>
#include <time.h>

#include "area.h"

#define TABLE		(2UL << 20)	/* what a page table maps */
#define TRIES		50
#define INJECT		"/sys/kernel/debug/hwpoison/corrupt-pfn"

static void __attribute__((noreturn)) finish(int status, const char *fmt, va_list ap)
{
	vprintf(fmt, ap);
	putchar('\n');
	fflush(stdout);
	/* Of a child, too: nothing of the parent's is undone. */
	_exit(status);
}

void fail(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	finish(EXIT_WRONG_DATA, fmt, ap);
}

void skip(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	finish(EXIT_SKIP, fmt, ap);
}

void same(const char *what, uint64_t got, uint64_t wanted)
{
	if (got != wanted)
		fail("%s: %" PRIu64 ", not %" PRIu64, what, got, wanted);
}

void at_least(const char *what, uint64_t got, uint64_t wanted)
{
	if (got < wanted)
		fail("%s: %" PRIu64 ", less than %" PRIu64, what, got, wanted);
}

int run_case(const struct test_case *cases, int argc, char **argv)
{
	uint64_t arg[TEST_ARGS] = {};
	int i;

	for (i = 2; i < argc && i < TEST_ARGS + 2; i++)
		arg[i - 2] = parse_number(argv[i]);
	for (; argc > 1 && cases->name; cases++) {
		if (strcmp(cases->name, argv[1]))
			continue;
		reset_counters();
		cases->run(arg);
		return EXIT_OK;
	}
	fprintf(stderr, "usage: %s CASE [NUMBER]...\n", argv[0]);
	return EXIT_SETUP;
}

/* ---- Areas ---- */

void area_at(struct area *a, void *addr, uint64_t pages)
{
	static uint64_t seed;

	a->addr = addr;
	a->pages = pages;
	a->seed = ++seed;
	a->model = calloc(pages, sizeof(*a->model));
	if (!a->model)
		die("memory");
}

void area_new(struct area *a, uint64_t pages, uint64_t offset)
{
	uint64_t size = (offset + pages) * PAGE + 2 * TABLE;
	unsigned char *addr;

	/* What is around it stays, so that it has no neighbour to merge with. */
	addr = mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (addr == MAP_FAILED)
		die("mmap");
	addr = (unsigned char *)(((uintptr_t)addr + TABLE - 1) & ~(TABLE - 1)) + offset * PAGE;
	if (mmap(addr, pages * PAGE, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != addr)
		die("mmap");
	if (madvise(addr, pages * PAGE, MADV_NOHUGEPAGE))
		die("MADV_NOHUGEPAGE");
	area_at(a, addr, pages);
}

void area_free(struct area *a)
{
	if (munmap(a->addr, a->pages * PAGE))
		die("munmap");
	free(a->model);
	a->model = NULL;
}

void *area_page(const struct area *a, uint64_t i)
{
	return a->addr + i * PAGE;
}

void area_compose(struct area *a, uint64_t i, enum kind kind, void *to)
{
	struct model *m = &a->model[i];

	m->version++;
	m->kind = kind_of(kind, i);
	page_fill(to, a->seed, i, m->version, m->kind);
}

void area_write(struct area *a, uint64_t i, enum kind kind)
{
	area_compose(a, i, kind, area_page(a, i));
}

void area_fill(struct area *a, enum kind kind)
{
	uint64_t i;

	for (i = 0; i < a->pages; i++)
		area_write(a, i, kind);
}

void area_check_page(const struct area *a, uint64_t i)
{
	const struct model *m = &a->model[i];

	if (page_check(area_page(a, i), a->seed, i, m->version,
		       m->version ? m->kind : KIND_ZERO))
		fail("wrong data in page %" PRIu64, i);
}

void area_check(const struct area *a)
{
	uint64_t i;

	for (i = 0; i < a->pages; i++)
		area_check_page(a, i);
}

void area_touch(const struct area *a, uint64_t i)
{
	*(volatile unsigned char *)area_page(a, i);
}

/* ---- Where pages are ---- */

uint64_t pagemap_of(const void *addr)
{
	uint64_t entry;
	int fd = open("/proc/self/pagemap", O_RDONLY);

	if (fd < 0 || pread(fd, &entry, sizeof(entry), (off_t)((uintptr_t)addr / PAGE *
							       sizeof(entry))) != sizeof(entry))
		die("pagemap");
	close(fd);
	return entry;
}

static const char *variable(const char *name)
{
	const char *value = getenv(name);

	if (!value)
		fail("%s is not set", name);
	return value;
}

static bool is_ours(uint64_t pfn)
{
	static uint64_t first, end;

	if (!end && sscanf(variable("LENT_PFNS"), "%" SCNu64 " %" SCNu64, &first, &end) != 2)
		fail("LENT_PFNS is no range");
	return pfn >= first && pfn < end;
}

enum where where_is(const void *addr)
{
	uint64_t entry = pagemap_of(addr);
	unsigned char in;

	if (entry & PM_PRESENT)
		return is_ours(entry & PM_PFN) ? LENT : DRAM;
	if (!(entry & PM_SWAP))
		return NOWHERE;
	if (mincore((void *)addr, PAGE, &in))
		die("mincore");
	return in & 1 ? CACHED : SWAPPED;
}

uint64_t lent_pfn(const void *addr)
{
	uint64_t entry = pagemap_of(addr);

	return entry & PM_PRESENT && is_ours(entry & PM_PFN) ? entry & PM_PFN : 0;
}

int hwpoison(uint64_t pfn)
{
	char text[32];
	int fd = open(INJECT, O_WRONLY), err = 0, len;

	if (fd < 0)
		skip("needs " INJECT);
	len = snprintf(text, sizeof(text), "%" PRIu64, pfn);
	if (write(fd, text, (size_t)len) != len)
		err = errno;
	close(fd);
	return err;
}

const char *where_name(enum where where)
{
	static const char * const names[] = {
		[NOWHERE] = "nowhere", [SWAPPED] = "swapped out", [CACHED] = "in the swap cache",
		[LENT] = "lent", [DRAM] = "in DRAM",
	};

	return names[where];
}

uint64_t area_count(const struct area *a, enum where where)
{
	uint64_t i, n = 0;

	for (i = 0; i < a->pages; i++)
		n += where_is(area_page(a, i)) == where;
	return n;
}

void range_out(const struct area *a, uint64_t first, uint64_t count)
{
	enum where where = SWAPPED;
	uint64_t i = 0;
	int try;

	for (try = 0; try < TRIES; try++) {
		if (madvise(area_page(a, first), count * PAGE, MADV_PAGEOUT))
			die("MADV_PAGEOUT");
		for (i = 0; i < count; i++) {
			where = where_is(area_page(a, first + i));
			if (where != SWAPPED)
				break;
		}
		if (i == count)
			return;
		/* Pages on another CPU's list can't be taken; this empties the lists. */
		write_file("/proc/sys/vm/compact_memory", "1");
	}
	fail("page %" PRIu64 " is still %s", first + i, where_name(where));
}

void area_out(const struct area *a)
{
	range_out(a, 0, a->pages);
}

/* ---- Counters ---- */

static uint64_t number_in(const char *path)
{
	uint64_t value;
	FILE *f = fopen(path, "r");

	if (!f || fscanf(f, "%" SCNu64, &value) != 1)
		die("%s", path);
	fclose(f);
	return value;
}

static void stat_path(char *path, size_t size, const char *name)
{
	snprintf(path, size, "%s/%s", variable("LENT_STATS"), name);
}

uint64_t stat_of(const char *name)
{
	char path[256];

	stat_path(path, sizeof(path), name);
	return number_in(path);
}

static struct counters start;

void reset_counters(void)
{
	memset(&start, 0, sizeof(start));
	read_counters(&start);
}

void read_counters(struct counters *c)
{
	c->mapped_in = stat_of("mapped_in_pages") - start.mapped_in;
	c->mapped_around = stat_of("mapped_around_pages") - start.mapped_around;
	c->copied_in = stat_of("copied_in_pages") - start.copied_in;
	c->lent = stat_of("lent_pages");
}

void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);

	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		die("%s <- %s", path, text);
	close(fd);
}

bool drain_or_busy(void)
{
	char path[256];
	bool done;
	int fd;

	stat_path(path, sizeof(path), "drain");
	fd = open(path, O_WRONLY);
	if (fd < 0)
		die("%s", path);
	done = write(fd, "1", 1) == 1;
	if (!done && errno != EBUSY)
		die("%s <- 1", path);
	close(fd);
	return done;
}

void drain(void)
{
	if (!drain_or_busy())
		fail("pages stay lent");
}

void wait_lent(uint64_t pages)
{
	const struct timespec pause = { .tv_nsec = 20000000 };
	int try;

	for (try = 0; try < 500 && stat_of("lent_pages") != pages; try++)
		nanosleep(&pause, NULL);
	same("lent_pages", stat_of("lent_pages"), pages);
}

uint64_t smaps_of(const struct area *a, const char *field)
{
	uintptr_t first = (uintptr_t)a->addr, end = first + a->pages * PAGE;
	unsigned long from, to, n;
	uint64_t kib = 0;
	size_t length = strlen(field);
	bool inside = false;
	char line[512];
	FILE *f = fopen("/proc/self/smaps", "r");

	if (!f)
		die("smaps");
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%lx-%lx ", &from, &to) == 2)
			inside = from >= first && from < end;
		else if (inside && !strncmp(line, field, length) && line[length] == ':' &&
			 sscanf(line + length + 1, "%lu", &n) == 1)
			kib += n;
	}
	fclose(f);
	return kib;
}
