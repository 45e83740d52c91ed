// SPDX-License-Identifier: GPL-2.0-only
/*
 * Fills more memory than there is and verifies every byte of it, pass after pass.
 */
#define _GNU_SOURCE
#include <getopt.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <fcntl.h>

#include "common.h"

static struct {
	uint64_t size;
	uint64_t seed;
	unsigned int threads;
	unsigned int passes;
	unsigned int children;
	unsigned int write_percent;
	unsigned int same_percent;
	unsigned int zero_percent;
	bool random;
	bool huge;
	bool no_huge;
	bool progress;
	bool damage;
	bool text;
	const char *file;
} opt = {
	.size = 64 << 20, .seed = 1, .threads = 1, .passes = 1,
	.write_percent = 30,
};

static unsigned char *memory;
static uint32_t *versions;	/* of each page; 0: never written */
static uint64_t nr_pages;
static uint64_t done;		/* pages of this phase, all threads */
static uint64_t verified;
static uint64_t written;
static uint64_t wrong_bytes;
static volatile sig_atomic_t stop;

struct job {
	pthread_t thread;
	unsigned int nr;
	unsigned int pass;	/* 0: fill */
	uint64_t first;
	uint64_t count;
};

/* The kind is a function of the version too, so pages change their kind. */
static enum kind page_kind(uint64_t index, uint32_t version)
{
	unsigned int dice = mix64(opt.seed ^ (index << 20) ^ version) % 100;

	if (dice < opt.zero_percent)
		return KIND_ZERO;
	if (dice < opt.zero_percent + opt.same_percent)
		return KIND_SAME;
	return opt.text ? KIND_TEXT : KIND_RANDOM;
}

static void write_page(uint64_t index, uint32_t version)
{
	page_fill(memory + index * PAGE, opt.seed, index, version,
		  page_kind(index, version));
	versions[index] = version;
	__atomic_add_fetch(&written, 1, __ATOMIC_RELAXED);
}

static void verify_page(uint64_t index)
{
	uint32_t version = versions[index];
	unsigned long wrong;

	wrong = page_check(memory + index * PAGE, opt.seed, index, version,
			   page_kind(index, version));
	if (wrong)
		__atomic_add_fetch(&wrong_bytes, wrong, __ATOMIC_RELAXED);
	__atomic_add_fetch(&verified, 1, __ATOMIC_RELAXED);
}

static void report(const struct job *job)
{
	uint64_t now = __atomic_add_fetch(&done, 1, __ATOMIC_RELAXED);
	uint64_t step = nr_pages / 20;

	if (!opt.progress || !step || now % step)
		return;
	if (job->pass)
		fprintf(stderr, "hog: pass %u of %u: %3" PRIu64 "%%\n",
			job->pass, opt.passes, now * 100 / nr_pages);
	else
		fprintf(stderr, "hog: fill: %3" PRIu64 "%%\n",
			now * 100 / nr_pages);
}

/* A permutation of 0 .. count - 1: an odd step modulo a power of two. */
static uint64_t next_index(uint64_t *state, uint64_t step, uint64_t mask,
			   uint64_t count)
{
	uint64_t index;

	do {
		index = *state & mask;
		*state += step;
	} while (index >= count);
	return index;
}

static void *run_job(void *arg)
{
	struct job *job = arg;
	uint64_t random = opt.seed * 1000 + job->pass * 100 + job->nr;
	uint64_t state = next_random(&random);
	uint64_t mask = 1, step, index, i;

	while (mask < job->count)
		mask <<= 1;
	mask--;
	step = next_random(&random) | 1;

	for (i = 0; i < job->count; i++, report(job)) {
		if (!job->pass) {
			write_page(job->first + i, 1);
			continue;
		}
		index = opt.random ? next_index(&state, step, mask, job->count) : i;
		index += job->first;
		verify_page(index);
		if (next_random(&random) % 100 < opt.write_percent)
			write_page(index, versions[index] + 1);
	}
	return NULL;
}

static void run_pass(unsigned int pass)
{
	struct job *jobs = calloc(opt.threads, sizeof(*jobs));
	unsigned int i;

	if (!jobs)
		die("calloc");
	done = 0;
	for (i = 0; i < opt.threads; i++) {
		jobs[i].nr = i;
		jobs[i].pass = pass;
		jobs[i].first = nr_pages * i / opt.threads;
		jobs[i].count = nr_pages * (i + 1) / opt.threads - jobs[i].first;
		errno = pthread_create(&jobs[i].thread, NULL, run_job, &jobs[i]);
		if (errno)
			die("pthread_create");
	}
	for (i = 0; i < opt.threads; i++)
		pthread_join(jobs[i].thread, NULL);
	free(jobs);
}

/* A child sees the parent's data as it was, and what it writes stays its own. */
static int child(unsigned int nr)
{
	uint64_t first = nr_pages * nr / opt.children;
	uint64_t end = nr_pages * (nr + 1) / opt.children;
	uint64_t i;

	for (i = 0; i < nr_pages; i++)
		verify_page(i);
	for (i = first; i < end; i++)
		write_page(i, versions[i] + 1000 * (nr + 1));
	for (i = 0; i < nr_pages; i++)
		verify_page(i);
	return wrong_bytes ? EXIT_WRONG_DATA : EXIT_OK;
}

static void run_children(pid_t *pids)
{
	unsigned int i;

	for (i = 0; i < opt.children; i++) {
		pids[i] = fork();
		if (pids[i] < 0)
			die("fork");
		if (!pids[i])
			_exit(child(i));
	}
}

static int reap_children(pid_t *pids)
{
	int worst = EXIT_OK;
	unsigned int i;
	int status;

	for (i = 0; i < opt.children; i++) {
		if (waitpid(pids[i], &status, 0) < 0)
			die("waitpid");
		if (WIFEXITED(status) && !WEXITSTATUS(status))
			continue;
		fprintf(stderr, "hog: child %u: status %#x\n", i, status);
		worst = WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_SETUP;
	}
	return worst;
}

static void on_bus(int sig, siginfo_t *info, void *context)
{
	static const char text[] = "hog: SIGBUS: a page could not be read\n";

	(void)sig;
	(void)info;
	(void)context;
	if (write(STDERR_FILENO, text, sizeof(text) - 1) < 0)
		_exit(EXIT_SETUP);
	_exit(EXIT_IO);
}

static void on_term(int sig)
{
	(void)sig;
	stop = 1;
}

static void map_memory(void)
{
	int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
	int fd = -1;

	if (opt.file) {
		flags = MAP_SHARED;
		fd = open(opt.file, O_RDWR | O_CREAT | O_TRUNC, 0600);
		if (fd < 0 || ftruncate(fd, (off_t)opt.size))
			die("%s", opt.file);
	}
	memory = mmap(NULL, opt.size, PROT_READ | PROT_WRITE, flags, fd, 0);
	if (memory == MAP_FAILED)
		die("mmap");
	if (fd >= 0)
		close(fd);
	if (opt.huge && madvise(memory, opt.size, MADV_HUGEPAGE))
		die("MADV_HUGEPAGE");
	if (opt.no_huge && madvise(memory, opt.size, MADV_NOHUGEPAGE))
		die("MADV_NOHUGEPAGE");
	versions = mmap(NULL, nr_pages * sizeof(*versions),
			PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (versions == MAP_FAILED)
		die("mmap");
}

static const char usage[] =
"usage: hog [options]\n"
"  --size SIZE     memory to use (64M)\n"
"  --threads N     each with a part of the memory (1)\n"
"  --passes N      over all of it, after it has been filled (1)\n"
"  --random        in an order that looks random\n"
"  --write PERCENT pages that a pass rewrites, after it has verified them (30)\n"
"  --same PERCENT  pages that hold one repeated 32-bit value (0)\n"
"  --zero PERCENT  pages of zeros (0)\n"
"  --text          the others can be compressed\n"
"  --fork N        children that verify, write and verify beside the passes (0)\n"
"  --file PATH     a shared file mapping instead of anonymous memory\n"
"  --huge, --no-huge  MADV_HUGEPAGE, MADV_NOHUGEPAGE\n"
"  --seed N        (1)\n"
"  --damage        flip one bit after the fill: the passes must find it\n"
"  --progress      a line for every 5 percent on stderr\n"
"SIGTERM ends it after the pass it is in.\n"
"exit status: 0 all data right, 1 wrong data, 2 could not run, 3 a page could not be read\n";

static void parse_options(int argc, char **argv)
{
	static const struct option options[] = {
		{ "size", 1, NULL, 's' }, { "threads", 1, NULL, 't' },
		{ "passes", 1, NULL, 'p' }, { "random", 0, NULL, 'r' },
		{ "write", 1, NULL, 'w' }, { "same", 1, NULL, 'e' },
		{ "zero", 1, NULL, 'z' }, { "fork", 1, NULL, 'f' },
		{ "file", 1, NULL, 'F' }, { "huge", 0, NULL, 'h' },
		{ "no-huge", 0, NULL, 'n' }, { "seed", 1, NULL, 'S' },
		{ "progress", 0, NULL, 'P' }, { "damage", 0, NULL, 'd' },
		{ "text", 0, NULL, 'x' },
		{ NULL, 0, NULL, 0 },
	};
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (c) {
		case 's':
			opt.size = parse_size(optarg);
			break;
		case 't':
			opt.threads = (unsigned int)parse_number(optarg);
			break;
		case 'p':
			opt.passes = (unsigned int)parse_number(optarg);
			break;
		case 'r':
			opt.random = true;
			break;
		case 'w':
			opt.write_percent = (unsigned int)parse_number(optarg);
			break;
		case 'e':
			opt.same_percent = (unsigned int)parse_number(optarg);
			break;
		case 'z':
			opt.zero_percent = (unsigned int)parse_number(optarg);
			break;
		case 'f':
			opt.children = (unsigned int)parse_number(optarg);
			break;
		case 'F':
			opt.file = optarg;
			break;
		case 'h':
			opt.huge = true;
			break;
		case 'n':
			opt.no_huge = true;
			break;
		case 'S':
			opt.seed = parse_number(optarg);
			break;
		case 'd':
			opt.damage = true;
			break;
		case 'x':
			opt.text = true;
			break;
		case 'P':
			opt.progress = true;
			break;
		default:
			fputs(usage, stderr);
			exit(EXIT_SETUP);
		}
	}
	nr_pages = opt.size / PAGE;
	opt.size = nr_pages * PAGE;
	if (optind != argc || !opt.threads || nr_pages < opt.threads) {
		fputs(usage, stderr);
		exit(EXIT_SETUP);
	}
}

int main(int argc, char **argv)
{
	struct sigaction bus = {
		.sa_sigaction = on_bus, .sa_flags = SA_SIGINFO,
	};
	struct sigaction term = { .sa_handler = on_term };
	int status = EXIT_OK;
	unsigned int pass;
	pid_t *pids = NULL;

	parse_options(argc, argv);
	map_memory();
	if (sigaction(SIGBUS, &bus, NULL) || sigaction(SIGTERM, &term, NULL))
		die("sigaction");

	run_pass(0);
	if (opt.damage)
		memory[nr_pages / 2 * PAGE + PAGE / 2] ^= 0x10;
	if (opt.children) {
		pids = calloc(opt.children, sizeof(*pids));
		if (!pids)
			die("calloc");
		run_children(pids);
	}
	for (pass = 1; pass <= opt.passes && !stop; pass++)
		run_pass(pass);
	if (pids)
		status = reap_children(pids);

	printf("hog: %" PRIu64 " pages, written %" PRIu64 ", verified %" PRIu64
	       ", wrong bytes %" PRIu64 "\n", nr_pages, written, verified,
	       wrong_bytes);
	if (wrong_bytes)
		status = EXIT_WRONG_DATA;
	return status;
}
