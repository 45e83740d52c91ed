// SPDX-License-Identifier: GPL-2.0-only
/*
 * A program bigger than memory: fills it, walks it in order and at random, checks every byte.
 */
#define _GNU_SOURCE
#include <getopt.h>
#include <sys/mman.h>
#include <time.h>

#include "common.h"

/* A page in this many is rewritten, and checked again by the next walk */
#define REWRITE		4

static struct {
	uint64_t size;
	uint64_t seed;
	bool tty;
	bool damage;
	unsigned int interval;		/* seconds between lines when not on a terminal */
	const char *label;
} opt = {
	.size = 64 << 20, .seed = 1, .interval = 3, .label = "",
};

/* What the table needs to know: peaks are kept while the program runs */
static struct {
	uint64_t checked;		/* bytes */
	uint64_t wrong;			/* bytes */
	uint64_t swap_peak_kb;
	uint64_t swpout, swpin;		/* pages, from the start */
} result;

struct phase {
	const char *key;
	const char *text;
	void (*run)(const struct phase *phase);
	double seconds;
};

static unsigned char *memory;
static unsigned char *versions;
static uint64_t nr_pages;
static uint64_t swpout0, swpin0;

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* The number behind @key in a file of "key number" lines */
static uint64_t field(const char *path, const char *key)
{
	size_t len = strlen(key);
	uint64_t value = 0;
	char line[256];
	FILE *f;

	f = fopen(path, "r");
	if (!f)
		die("%s", path);
	while (fgets(line, sizeof(line), f)) {
		if (!strncmp(line, key, len)) {
			value = strtoull(line + len, NULL, 10);
			break;
		}
	}
	fclose(f);
	return value;
}

static void sample(void)
{
	uint64_t swap = field("/proc/self/status", "VmSwap:");

	if (swap > result.swap_peak_kb)
		result.swap_peak_kb = swap;
	result.swpout = field("/proc/vmstat", "pswpout ") - swpout0;
	result.swpin = field("/proc/vmstat", "pswpin ") - swpin0;
}

static void progress(const struct phase *phase, uint64_t pages)
{
	static double last;
	bool end = pages == nr_pages;
	double t;

	/* Looking at the clock for each page would cost more than a page does */
	if (pages % 64 && !end)
		return;
	t = now();
	if (!end && t - last < (opt.tty ? 0.2 : opt.interval))
		return;
	last = t;
	sample();
	printf("%s  %-10s %-30s %3" PRIu64 "%%", opt.tty ? "\r" : "", opt.label, phase->text,
	       pages * 100 / nr_pages);
	printf("   swapped out %5" PRIu64 " MiB, in %5" PRIu64 " MiB%s",
	       result.swpout / 256, result.swpin / 256, opt.tty && !end ? "" : "\n");
	fflush(stdout);
}

static void fill(uint64_t index)
{
	page_fill(memory + index * PAGE, opt.seed, index, versions[index], KIND_RANDOM);
}

static void check(uint64_t index)
{
	result.wrong += page_check(memory + index * PAGE, opt.seed, index, versions[index],
				   KIND_RANDOM);
	result.checked += PAGE;
}

static void run_fill(const struct phase *phase)
{
	uint64_t i;

	for (i = 0; i < nr_pages; i++) {
		fill(i);
		progress(phase, i + 1);
	}
	/* What a fault of memory or driver would do: the walks must find it */
	if (opt.damage)
		memory[nr_pages / 2 * PAGE + PAGE / 2] ^= 0x10;
}

static void run_sequential(const struct phase *phase)
{
	uint64_t i;

	for (i = 0; i < nr_pages; i++) {
		check(i);
		if (mix64(opt.seed ^ i) % REWRITE == 0) {
			versions[i]++;
			fill(i);
		}
		progress(phase, i + 1);
	}
}

/* Every page once: an odd step modulo a power of two visits all */
static void run_random(const struct phase *phase)
{
	uint64_t step = mix64(opt.seed) | 1;
	uint64_t mask = 1, at = 0, done = 0;

	while (mask < nr_pages)
		mask <<= 1;
	mask--;
	while (done < nr_pages) {
		at = (at + step) & mask;
		if (at >= nr_pages)
			continue;
		check(at);
		progress(phase, ++done);
	}
}

static struct phase phases[] = {
	{ .key = "fill", .text = "fill", .run = run_fill },
	{ .key = "seq", .text = "check in order, rewrite 1/4", .run = run_sequential },
	{ .key = "rand", .text = "check at random", .run = run_random },
};

static const char usage[] =
"usage: overcommit [options]\n"
"  --size SIZE     memory to use (64M)\n"
"  --seed N        of the data and of the random order (1)\n"
"  --label TEXT    begins each line of progress\n"
"  --tty           one line of progress that is rewritten, not one every few seconds\n"
"  --damage        flip one bit after the fill: the walks must find it\n"
"  --out FILE      for the figures, as key=value\n"
"exit status: 0 all data right, 1 wrong data, 2 could not run\n";

static const char *parse_options(int argc, char **argv)
{
	static const struct option options[] = {
		{ "size", 1, NULL, 's' }, { "seed", 1, NULL, 'S' }, { "label", 1, NULL, 'l' },
		{ "tty", 0, NULL, 't' }, { "damage", 0, NULL, 'd' }, { "out", 1, NULL, 'o' },
		{ NULL, 0, NULL, 0 },
	};
	const char *out = NULL;
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (c) {
		case 's':
			opt.size = parse_size(optarg);
			break;
		case 'S':
			opt.seed = parse_number(optarg);
			break;
		case 'l':
			opt.label = optarg;
			break;
		case 't':
			opt.tty = true;
			break;
		case 'd':
			opt.damage = true;
			break;
		case 'o':
			out = optarg;
			break;
		default:
			fputs(usage, stderr);
			exit(EXIT_SETUP);
		}
	}
	nr_pages = opt.size / PAGE;
	if (optind != argc || !nr_pages) {
		fputs(usage, stderr);
		exit(EXIT_SETUP);
	}
	return out;
}

static void write_figures(const char *path)
{
	double total = 0;
	FILE *f;
	size_t i;

	f = fopen(path, "w");
	if (!f)
		die("%s", path);
	for (i = 0; i < sizeof(phases) / sizeof(phases[0]); i++) {
		fprintf(f, "%s_seconds=%.2f\n", phases[i].key, phases[i].seconds);
		total += phases[i].seconds;
	}
	fprintf(f, "total_seconds=%.2f\n", total);
	fprintf(f, "checked_bytes=%" PRIu64 "\n", result.checked);
	fprintf(f, "wrong_bytes=%" PRIu64 "\n", result.wrong);
	fprintf(f, "swapped_out_pages=%" PRIu64 "\n", result.swpout);
	fprintf(f, "swapped_in_pages=%" PRIu64 "\n", result.swpin);
	fprintf(f, "resident_peak_kib=%" PRIu64 "\n", field("/proc/self/status", "VmHWM:"));
	fprintf(f, "swap_peak_kib=%" PRIu64 "\n", result.swap_peak_kb);
	if (fclose(f))
		die("%s", path);
}

int main(int argc, char **argv)
{
	const char *out = parse_options(argc, argv);
	double start;
	size_t i;

	memory = mmap(NULL, nr_pages * PAGE, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (memory == MAP_FAILED)
		die("mmap");
	versions = calloc(nr_pages, 1);
	if (!versions)
		die("calloc");
	swpout0 = field("/proc/vmstat", "pswpout ");
	swpin0 = field("/proc/vmstat", "pswpin ");

	for (i = 0; i < sizeof(phases) / sizeof(phases[0]); i++) {
		start = now();
		phases[i].run(&phases[i]);
		phases[i].seconds = now() - start;
	}
	sample();
	if (out)
		write_figures(out);
	if (result.wrong)
		fprintf(stderr, "overcommit: %" PRIu64 " wrong bytes\n", result.wrong);
	return result.wrong ? EXIT_WRONG_DATA : EXIT_OK;
}
