// SPDX-License-Identifier: GPL-2.0-only
/*
 * Time of page-out, page-in, free and swapoff of one swap device, a page; every byte checked.
 */
#define _GNU_SOURCE
#include <getopt.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/swap.h>
#include <time.h>

#include "common.h"

static struct {
	const char *device;	/* NULL: rows that need no swap */
	const char *settled;	/* reads 0 when nothing is left to do in the background */
	const char *drain;	/* takes a 1 to move pages to DRAM that are in; NULL: can't */
	const char *unlend;	/* takes a 1 to swap out in place what is in; NULL: can't */
	const char *squeeze;	/* takes a 1 to compress what is out; NULL: nothing to do */
	uint64_t pages;
	uint64_t seed;
	bool list;
} opt = {
	.pages = 8192, .seed = 1,
};

static unsigned char *memory;	/* private, anonymous */
static unsigned char *shared;	/* its pages stay, only the page tables go */
static uint32_t *sequential;
static uint32_t *scattered;

/* ---- What pages hold: lines of zeros, of pointers, of small numbers and of noise ---- */

static uint64_t page_dice(uint64_t page, unsigned int line)
{
	return mix64(opt.seed ^ (page << 20) ^ line) % 100;
}

static uint64_t line_word(uint64_t page, uint64_t dice, unsigned int i)
{
	if (i == 0)
		return page + 1;
	if (dice < 35)
		return 0;
	if (dice < 60)
		return 0x00007f3a50000000ULL + (((page + i) * 2741) & 0xffff8);
	if (dice < 80)
		return (page * 31 + i * 7) & 0xff;
	return mix64(opt.seed + (page << 16) + i);
}

static void fill(void)
{
	uint64_t *word = (uint64_t *)memory;
	uint64_t page, dice = 0;
	unsigned int i;

	for (page = 0; page < opt.pages; page++) {
		for (i = 0; i < PAGE_WORDS; i++, word++) {
			if (i % 8 == 0)
				dice = page_dice(page, i);
			*word = line_word(page, dice, i);
		}
	}
}

/* Rows that write put the number of the page into its last word; that is undone here */
static void verify(const char *op, bool written)
{
	uint64_t *word = (uint64_t *)memory;
	uint64_t page, want, dice = 0;
	unsigned int i;

	for (page = 0; page < opt.pages; page++) {
		for (i = 0; i < PAGE_WORDS; i++, word++) {
			if (i % 8 == 0)
				dice = page_dice(page, i);
			want = line_word(page, dice, i);
			if (written && i == PAGE_WORDS - 1 && *word == page)
				*word = want;
			else if (written && i == PAGE_WORDS - 1)
				want = page;
			if (*word == want)
				continue;
			fprintf(stderr,
				"%s: page %" PRIu64 " word %u: %#" PRIx64 ", not %#" PRIx64 "\n",
				op, page, i, *word, want);
			exit(EXIT_WRONG_DATA);
		}
	}
}

/* ---- Clock and counters ---- */

static uint64_t now(clockid_t clock)
{
	struct timespec ts;

	if (clock_gettime(clock, &ts))
		die("clock_gettime");
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static uint64_t counter(const char *key)
{
	size_t len = strlen(key);
	uint64_t value = 0;
	char line[128];
	FILE *f;

	f = fopen("/proc/vmstat", "r");
	if (!f)
		die("/proc/vmstat");
	while (fgets(line, sizeof(line), f))
		if (!strncmp(line, key, len) && line[len] == ' ')
			value = strtoull(line + len, NULL, 10);
	fclose(f);
	return value;
}

static uint64_t unsettled(void)
{
	char value[32];
	FILE *f;

	f = fopen(opt.settled, "r");
	if (!f || !fgets(value, sizeof(value), f))
		die("%s", opt.settled);
	fclose(f);
	return strtoull(value, NULL, 10);
}

/* The kernel may put pages away in the background: that is part of what they cost */
static void settle(void)
{
	while (opt.settled && unsettled())
		sched_yield();
}

/* ---- The steps of a row ---- */

static void page_out(void)
{
	if (madvise(memory, opt.pages * PAGE, MADV_PAGEOUT))
		die("MADV_PAGEOUT");
}

/* One by one, so that neighbours in memory have slots far from each other */
static void page_out_scattered(void)
{
	uint64_t i;

	for (i = 0; i < opt.pages; i++)
		if (madvise(memory + scattered[i] * PAGE, PAGE, MADV_PAGEOUT))
			die("MADV_PAGEOUT");
}

static void read_pages(const unsigned char *at, const uint32_t *order)
{
	uint64_t i;

	for (i = 0; i < opt.pages; i++)
		(void)*(const volatile unsigned char *)(at + order[i] * PAGE);
}

static void read_sequential(void)
{
	read_pages(memory, sequential);
}

static void read_scattered(void)
{
	read_pages(memory, scattered);
}

static void write_pages(const uint32_t *order)
{
	volatile uint64_t *word;
	uint64_t i;

	for (i = 0; i < opt.pages; i++) {
		word = (volatile uint64_t *)(memory + (order[i] + 1) * PAGE) - 1;
		*word = order[i];
	}
}

static void write_sequential(void)
{
	write_pages(sequential);
}

static void write_scattered(void)
{
	write_pages(scattered);
}

static void free_pages(void)
{
	if (madvise(memory, opt.pages * PAGE, MADV_DONTNEED))
		die("MADV_DONTNEED");
	settle();
}

static void read_and_free(void)
{
	read_sequential();
	free_pages();
}

static void read_scattered_and_free(void)
{
	read_scattered();
	free_pages();
}

static void page_out_and_in(void)
{
	page_out();
	read_sequential();
}

static void page_out_and_lend(void)
{
	page_out_and_in();
	if (unsettled() == opt.pages)
		return;
	fprintf(stderr, "%s: not %" PRIu64 "\n", opt.settled, opt.pages);
	exit(EXIT_SETUP);
}

static void write_one(const char *name)
{
	FILE *f = fopen(name, "w");

	if (!f || fputs("1", f) < 0 || fclose(f))
		die("%s", name);
}

static void drain(void)
{
	write_one(opt.drain);
}

static void unlend(void)
{
	write_one(opt.unlend);
	if (!unsettled())
		return;
	fprintf(stderr, "%s: not 0\n", opt.settled);
	exit(EXIT_SETUP);
}

/* Swapped out, and whatever the device does about it in the background */
static void out(void)
{
	page_out();
	if (opt.squeeze)
		write_one(opt.squeeze);
}

static void out_scattered(void)
{
	page_out_scattered();
	if (opt.squeeze)
		write_one(opt.squeeze);
}

static void swap_off(void)
{
	if (swapoff(opt.device))
		die("swapoff %s", opt.device);
}

static void swap_on(void)
{
	if (swapon(opt.device, 0))
		die("swapon %s", opt.device);
}

static void unmap_shared(void)
{
	if (madvise(shared, opt.pages * PAGE, MADV_DONTNEED))
		die("MADV_DONTNEED");
}

static void touch_shared(void)
{
	read_pages(shared, sequential);
}

/* ---- The rows ---- */

enum {
	NEEDS_SWAP	= 1 << 0,	/* else: a row without a device */
	WRITES		= 1 << 1,	/* the number of each page into its last word */
	FREES		= 1 << 2,	/* the pages are gone */
	SWAP_IS_OFF	= 1 << 3,	/* and has to go on again */
	WAITS		= 1 << 4,	/* count what it works, not how long it sleeps meanwhile */
	NEEDS_DRAIN	= 1 << 5,	/* only for devices that have it */
	NEEDS_UNLEND	= 1 << 6,	/* the same */
};

/*
 * @before is done untimed, @run is timed. @counter is what /proc/vmstat must show one of for every
 * page, or the row would not have measured what its name says; NULL: nothing.
 */
struct row {
	const char *key;
	const char *title;
	void (*before)(void);
	void (*run)(void);
	const char *counter;
	unsigned int flags;
};

static const struct row rows[] = {
	{ "minor-fault", "minor read fault (shmem page that is there)", unmap_shared, touch_shared,
	  NULL, 0 },
	{ "out", "page-out (MADV_PAGEOUT)", NULL, page_out, "pswpout", NEEDS_SWAP },
	{ "in-read-seq", "page-in, read, in order", out, read_sequential, "pswpin",
	  NEEDS_SWAP },
	{ "in-read-rand", "page-in, read, at random", out, read_scattered, "pswpin",
	  NEEDS_SWAP },
	{ "in-read-slots", "page-in, read, in order, slots scattered", out_scattered,
	  read_sequential, "pswpin", NEEDS_SWAP },
	{ "in-write-seq", "page-in, write, in order", out, write_sequential, "pswpin",
	  NEEDS_SWAP | WRITES },
	{ "in-write-rand", "page-in, write, at random", out, write_scattered, "pswpin",
	  NEEDS_SWAP | WRITES },
	{ "in-free-seq", "page-in, read, in order, and free (MADV_DONTNEED)", out,
	  read_and_free, "pswpin", NEEDS_SWAP | FREES },
	{ "in-free-rand", "page-in, read, at random, and free", out,
	  read_scattered_and_free, "pswpin", NEEDS_SWAP | FREES },
	{ "in-free-slots", "page-in, read, in order, slots scattered, and free", out_scattered,
	  read_and_free, "pswpin", NEEDS_SWAP | FREES },
	{ "free", "free of pages that are out", out, free_pages, NULL, NEEDS_SWAP | FREES },
	{ "free-in", "free of pages that are back in", page_out_and_in, free_pages, NULL,
	  NEEDS_SWAP | FREES },
	{ "drain", "drain (move to DRAM) of pages that are back in", page_out_and_lend, drain, NULL,
	  NEEDS_SWAP | NEEDS_DRAIN },
	{ "unlend", "unlend (swap out in place) of pages that are back in", page_out_and_lend,
	  unlend, NULL, NEEDS_SWAP | NEEDS_UNLEND },
	{ "swapoff", "swapoff, pages out", out, swap_off, "pswpin",
	  NEEDS_SWAP | SWAP_IS_OFF | WAITS },
	{ "swapoff-in", "swapoff, pages back in", page_out_and_in, swap_off, NULL,
	  NEEDS_SWAP | SWAP_IS_OFF | WAITS },
};

static void run_row(const struct row *row)
{
	clockid_t clock = row->flags & WAITS ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC_RAW;
	uint64_t count = 0, start, ns;

	/* Fresh pages each time: those that are mapped from swap can't go out again */
	if (row->flags & NEEDS_SWAP) {
		free_pages();
		fill();
	}
	if (row->before)
		row->before();
	if (row->counter)
		count = counter(row->counter);
	start = now(clock);
	row->run();
	ns = now(clock) - start;
	if (row->counter)
		count = counter(row->counter) - count;
	if (row->counter && count != opt.pages) {
		fprintf(stderr, "%s: %s of %" PRIu64 " pages, expected %" PRIu64 "\n",
			row->key, row->counter, count, opt.pages);
		exit(EXIT_SETUP);
	}
	if (row->flags & FREES) {
		/* Freed memory reads as zeros */
		if (*(volatile unsigned char *)memory)
			exit(EXIT_WRONG_DATA);
	} else if (row->flags & NEEDS_SWAP) {
		verify(row->key, row->flags & WRITES);
	}
	if (row->flags & SWAP_IS_OFF)
		swap_on();
	printf("%s %" PRIu64 " %" PRIu64 "\n", row->key, opt.pages, ns);
	fflush(stdout);
}

static void map_memory(void)
{
	uint64_t state = opt.seed;
	uint32_t i, j, t;

	memory = mmap(NULL, opt.pages * PAGE, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	shared = mmap(NULL, opt.pages * PAGE, PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	sequential = malloc(opt.pages * sizeof(*sequential));
	scattered = malloc(opt.pages * sizeof(*scattered));
	if (memory == MAP_FAILED || shared == MAP_FAILED || !sequential || !scattered)
		die("memory");
	for (i = 0; i < opt.pages; i++) {
		sequential[i] = i;
		scattered[i] = i;
	}
	for (i = (uint32_t)opt.pages - 1; i; i--) {
		j = (uint32_t)(next_random(&state) % (i + 1));
		t = scattered[i];
		scattered[i] = scattered[j];
		scattered[j] = t;
	}
}

static const char usage[] =
"usage: pagebench [--pages N] [--seed N] [--device DEV [--settled FILE\n"
"                 [--drain FILE] [--unlend FILE] [--squeeze FILE]]\n"
"       pagebench --list\n"
"  --device DEV   swap device, ready for swapon; without it: the rows that need none\n"
"  --settled FILE wait until it reads 0 after memory was freed\n"
"  --drain FILE   takes a 1 to move to DRAM what was paged in without taking DRAM\n"
"  --unlend FILE  takes a 1 to swap out in place what was paged in without taking DRAM\n"
"  --squeeze FILE takes a 1 to compress what is out, before it comes in\n"
"  --list         the rows, as key|title\n"
"For each row one line: key, pages, nanoseconds.\n"
"exit status: 0 all data right, 1 wrong data, 2 could not run\n";

static void parse_options(int argc, char **argv)
{
	static const struct option options[] = {
		{ "pages", 1, NULL, 'p' }, { "seed", 1, NULL, 'S' }, { "device", 1, NULL, 'd' },
		{ "settled", 1, NULL, 's' }, { "drain", 1, NULL, 'D' }, { "unlend", 1, NULL, 'U' },
		{ "squeeze", 1, NULL, 'q' }, { "list", 0, NULL, 'l' }, { NULL, 0, NULL, 0 },
	};
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (c) {
		case 'p':
			opt.pages = parse_number(optarg);
			break;
		case 'S':
			opt.seed = parse_number(optarg);
			break;
		case 'd':
			opt.device = optarg;
			break;
		case 's':
			opt.settled = optarg;
			break;
		case 'D':
			opt.drain = optarg;
			break;
		case 'U':
			opt.unlend = optarg;
			break;
		case 'q':
			opt.squeeze = optarg;
			break;
		case 'l':
			opt.list = true;
			break;
		default:
			fputs(usage, stderr);
			exit(EXIT_SETUP);
		}
	}
	if (optind != argc || !opt.pages || opt.pages > UINT32_MAX ||
	    (opt.drain && !opt.settled)) {
		fputs(usage, stderr);
		exit(EXIT_SETUP);
	}
}

int main(int argc, char **argv)
{
	size_t i;

	parse_options(argc, argv);
	if (opt.list) {
		for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
			printf("%s|%s\n", rows[i].key, rows[i].title);
		return EXIT_OK;
	}
	/* Huge pages would make it another benchmark */
	if (prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0))
		die("PR_SET_THP_DISABLE");
	map_memory();
	memset(shared, 1, opt.pages * PAGE);
	if (opt.device)
		swap_on();
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (!(rows[i].flags & NEEDS_SWAP) == !opt.device &&
		    (opt.drain || !(rows[i].flags & NEEDS_DRAIN)) &&
		    (opt.unlend || !(rows[i].flags & NEEDS_UNLEND)))
			run_row(&rows[i]);
	if (opt.device)
		swap_off();
	return EXIT_OK;
}
