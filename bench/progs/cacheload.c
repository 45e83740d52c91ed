// SPDX-License-Identifier: GPL-2.0-only
/*
 * Files bigger than memory, read in passes, or a hot set against a scan; every byte checked.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>

#include "common.h"

/* Pages that are read in one go, on the clock; they are checked afterwards, off the clock */
#define BATCH	64

struct file {
	int fd;
	uint64_t seed;		/* of the data */
	uint64_t pages;
	uint64_t at[BATCH];	/* what is read next */
	uint64_t reads;
	uint64_t ns;
};

/* What the shell command in $MARK says: the first two numbers of its output */
struct mark {
	uint64_t sectors;	/* read from the disk */
	uint64_t hits;		/* of the cache, as far as that counts them */
};

static unsigned char *buffer;
static uint64_t wrong;

static uint64_t now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static struct mark mark(void)
{
	const char *command = getenv("MARK");
	struct mark m = { 0 };
	FILE *f;

	f = popen(command ? command : "echo 0 0", "r");
	if (!f || fscanf(f, "%" SCNu64 " %" SCNu64, &m.sectors, &m.hits) != 2 || pclose(f))
		die("MARK=%s", command);
	return m;
}

/* Pages that this process has had read from below the page cache */
static uint64_t missed(void)
{
	uint64_t bytes = 0;
	char line[128];
	FILE *f;

	f = fopen("/proc/self/io", "r");
	if (!f)
		die("/proc/self/io");
	while (fgets(line, sizeof(line), f))
		sscanf(line, "read_bytes: %" SCNu64, &bytes);
	fclose(f);
	return bytes / PAGE;
}

static struct file file_open(const char *name, uint64_t seed)
{
	struct file file = { .seed = seed };
	struct stat st;

	file.fd = open(name, O_RDONLY);
	if (file.fd < 0 || fstat(file.fd, &st))
		die("%s", name);
	file.pages = (uint64_t)st.st_size / PAGE;
	return file;
}

static void file_reset(struct file *file)
{
	file->ns = 0;
	file->reads = 0;
}

/* Read the pages of at[] */
static void read_batch(struct file *file, unsigned int nr)
{
	uint64_t start = now();
	unsigned int i;

	for (i = 0; i < nr; i++) {
		ssize_t done = pread(file->fd, buffer + i * PAGE, PAGE,
				     (off_t)(file->at[i] * PAGE));

		if (done != (ssize_t)PAGE)
			die("page %" PRIu64, file->at[i]);
	}
	file->ns += now() - start;
	file->reads += nr;
	for (i = 0; i < nr; i++)
		wrong += page_check(buffer + i * PAGE, file->seed, file->at[i], 0, KIND_RANDOM);
}

/* ---- fill FILE MIB SEED ---- */

static void fill(char **arg)
{
	uint64_t pages = parse_number(arg[1]) << 20 >> 12, seed = parse_number(arg[2]), i;
	int fd = open(arg[0], O_WRONLY | O_CREAT | O_TRUNC, 0600);

	if (fd < 0)
		die("%s", arg[0]);
	for (i = 0; i < pages; i++) {
		page_fill(buffer + i % BATCH * PAGE, seed, i, 0, KIND_RANDOM);
		if (i % BATCH == BATCH - 1 && write(fd, buffer, BATCH * PAGE) != BATCH * PAGE)
			die("%s", arg[0]);
	}
	if (fsync(fd) || close(fd))
		die("%s", arg[0]);
}

/* ---- passes FILE SEED PASSES RANDOM ---- */

/* Every page once. An odd step modulo a power of two visits all. */
static void pass(struct file *file, uint64_t step)
{
	uint64_t mask = 1, at = 0, left = file->pages;
	unsigned int nr = 0;

	while (mask < file->pages)
		mask <<= 1;
	for (mask--; left; at = (at + step) & mask) {
		if (at >= file->pages)
			continue;
		file->at[nr++] = at;
		left--;
		if (nr == BATCH || !left) {
			read_batch(file, nr);
			nr = 0;
		}
	}
}

static void passes(char **arg)
{
	struct file file = file_open(arg[0], parse_number(arg[1]));
	uint64_t nr = parse_number(arg[2]), nr_all = nr + parse_number(arg[3]), i;
	struct mark before = mark(), after;

	for (i = 0; i < nr_all; i++) {
		if (i == nr && posix_fadvise(file.fd, 0, 0, POSIX_FADV_RANDOM))
			die("POSIX_FADV_RANDOM");
		file_reset(&file);
		pass(&file, i < nr ? 1 : mix64(i) | 1);
		after = mark();
		printf("%s %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 "\n",
		       i < nr ? "pass" : "random", i < nr ? i + 1 : i - nr + 1, file.reads,
		       file.ns, after.sectors - before.sectors);
		fflush(stdout);
		before = after;
	}
}

/* ---- hot FILE SCAN-FILE SEED SHARE SET READS TIMES ---- */

/* Share percent of the reads of the hot file go to its first set percent */
static void pick_hot(struct file *file, uint64_t share, uint64_t set, uint64_t *random)
{
	uint64_t first = file->pages * set / 100;
	unsigned int i;

	for (i = 0; i < BATCH; i++) {
		if (set >= 100)
			file->at[i] = next_random(random) % file->pages;
		else if (next_random(random) % 100 < share)
			file->at[i] = next_random(random) % first;
		else
			file->at[i] = first + next_random(random) % (file->pages - first);
	}
}

/* As many reads of the one as of the other */
static void hot_and_scan(char **arg)
{
	uint64_t seed = parse_number(arg[2]), share = parse_number(arg[3]);
	uint64_t set = parse_number(arg[4]), reads = parse_number(arg[5]) / BATCH * BATCH;
	uint64_t times = parse_number(arg[6]), missed_before = missed();
	struct file hot = file_open(arg[0], seed), scan = file_open(arg[1], seed + 1);
	struct mark before = mark(), after;
	uint64_t random = seed, next = 0, i;

	if (reads * times > scan.pages) {
		fprintf(stderr, "cacheload: %s is too small: the scan would come round\n", arg[1]);
		exit(EXIT_SETUP);
	}
	if (posix_fadvise(hot.fd, 0, 0, POSIX_FADV_RANDOM))
		die("POSIX_FADV_RANDOM");
	while (next < reads * times) {
		pick_hot(&hot, share, set, &random);
		read_batch(&hot, BATCH);
		for (i = 0; i < BATCH; i++)
			scan.at[i] = next++;
		read_batch(&scan, BATCH);
		if (next % reads)
			continue;
		after = mark();
		printf("reads %" PRIu64 " %" PRIu64 " scan %" PRIu64 " %" PRIu64, hot.reads, hot.ns,
		       scan.reads, scan.ns);
		printf(" missed %" PRIu64 " sectors %" PRIu64 " hits %" PRIu64 "\n",
		       missed() - missed_before, after.sectors - before.sectors,
		       after.hits - before.hits);
		fflush(stdout);
		missed_before = missed();
		before = after;
		file_reset(&hot);
		file_reset(&scan);
	}
}

/* ---- ballast MIB ---- */

/* Takes memory that nobody can reclaim, until it is killed */
static void ballast(char **arg)
{
	size_t size = parse_number(arg[0]) << 20;
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED || mlock(memory, size))
		die("%s MiB", arg[0]);
	puts("ready");
	fflush(stdout);
	pause();
}

static const struct {
	const char *name;
	int args;
	void (*run)(char **arg);
	const char *usage;
} modes[] = {
	{ "fill", 3, fill, "FILE MIB SEED" },
	{ "passes", 4, passes, "FILE SEED PASSES RANDOM-PASSES" },
	{ "hot", 7, hot_and_scan, "FILE SCAN-FILE SEED SHARE SET READS TIMES" },
	{ "ballast", 1, ballast, "MIB" },
};

int main(int argc, char **argv)
{
	size_t i;

	buffer = aligned_alloc(PAGE, BATCH * PAGE);
	if (!buffer)
		die("aligned_alloc");
	for (i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		if (argc != modes[i].args + 2 || strcmp(argv[1], modes[i].name))
			continue;
		modes[i].run(argv + 2);
		if (wrong)
			fprintf(stderr, "cacheload: %" PRIu64 " wrong bytes\n", wrong);
		return wrong ? EXIT_WRONG_DATA : EXIT_OK;
	}
	for (i = 0; i < sizeof(modes) / sizeof(modes[0]); i++)
		fprintf(stderr, "usage: cacheload %s %s\n", modes[i].name, modes[i].usage);
	return EXIT_SETUP;
}
