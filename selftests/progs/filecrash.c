// SPDX-License-Identifier: GPL-2.0-only
/*
 * Files written until the filesystem or the machine goes: what was synced must be there afterwards.
 *
 *	filecrash --dir DIR --ledger FILE --seed N [--threads N] [--mib N] --at N WHAT
 *	filecrash --dir DIR --ledger FILE --check
 *	filecrash --dir DIR --shutdown FLAGS
 *
 * Runs until it gets SIGUSR1 and has done N operations more; then WHAT is "say" (it says
 * "now", and goes on), "shutdown0" to "shutdown2" (the filesystem, with these flags) or
 * "reset" (the machine). From then on errors are no news: with one it ends well. After
 * "say" it has to be killed.
 *
 * The ledger, a file or a block device that survives, holds what was synced, for each 512 bytes.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <getopt.h>
#include <linux/falloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include "common.h"

#define CELL	512L
#define WORDS	(CELL / (long)sizeof(uint64_t))
#define IO_MAX	(64L << 10)
#define MAGIC	0x72656764656c6366ULL	/* "fcledger" */

/* ext4 has the same by another name. */
#define GOINGDOWN	_IOR('X', 125, uint32_t)

/*
 * Each word of a file has its version in the upper half, and in the lower one what follows
 * from version, place and seed. Versions of data are even. Odd ones are holes: they read as zeros.
 */
struct file {
	int id, fd, direct;
	uint64_t salt, rnd;
	uint32_t version;
	uint32_t *latest;	/* version of each cell, now */
	uint32_t *durable;	/* ... as it was synced; in the ledger */
	uint32_t *hole;		/* the last hole there may be; in the ledger */
	uint64_t *map, *buf;
	const char *op;
};

struct ledger {
	uint64_t magic, seed, threads, mib;
};

static const char *dir, *ledger_path, *what;
static uint64_t seed = 1, threads = 4, mib = 8, at;
static struct ledger *ledger;
static size_t ledger_len;
static atomic_ulong ops;
static atomic_ulong crash_at = ~0UL;
static atomic_bool crashing;
static int dir_fd;

static long cells(void)
{
	return (long)(mib << 20) / CELL;
}

/* An error: the end, and all is well if it has been announced. */
static _Noreturn void failed(struct file *f, const char *call)
{
	if (!crashing)
		fprintf(stderr, "file %d: %s: %s: %s\n", f->id, f->op, call,
			strerror(errno));
	_exit(crashing ? EXIT_OK : EXIT_IO);
}

static void on_sigbus(int sig)
{
	static const char text[] = "SIGBUS\n";

	(void)sig;
	if (!crashing && write(2, text, sizeof(text) - 1) < 0)
		_exit(EXIT_SETUP);
	_exit(crashing ? EXIT_OK : EXIT_IO);
}

static void on_arm(int sig)
{
	(void)sig;
	crash_at = ops + at;
}

static long below(struct file *f, long n)
{
	return (long)(next_random(&f->rnd) % (uint64_t)n);
}

static uint64_t word(const struct file *f, uint32_t version, long i)
{
	if (!version || version & 1)
		return 0;
	return (uint64_t)version << 32 |
	       (uint32_t)mix64(((uint64_t)i << 32 | version) + f->salt);
}

/* A range of cells. Returns its length; they are whole pages if @pages. */
static long range(struct file *f, bool pages, long max, long *first)
{
	long unit = pages ? (long)PAGE / CELL : 1;
	long n = 1 + below(f, max / CELL / unit);

	*first = below(f, cells() / unit - n + 1) * unit;
	return n * unit;
}

/* New data for a range: word by word, so that none is ever torn. */
static void renew(struct file *f, uint64_t *to, long first, long n)
{
	long i, j;

	for (i = first; i < first + n; i++) {
		f->version += 2;
		f->latest[i] = f->version;
		for (j = 0; j < WORDS; j++)
			__atomic_store_n(to++, word(f, f->version, i * WORDS + j),
					 __ATOMIC_RELAXED);
	}
}

static void compare(struct file *f, const uint64_t *is, long first, long n)
{
	uint64_t want;
	long i;

	for (i = first * WORDS; i < (first + n) * WORDS; i++, is++) {
		want = word(f, f->latest[i / WORDS], i);
		if (*is == want || crashing)
			continue;
		fprintf(stderr, "file %d: %s: at %ld: %016" PRIx64 ", not %016" PRIx64 "\n",
			f->id, f->op, i * 8, *is, want);
		_exit(EXIT_WRONG_DATA);
	}
}

/* On stable storage; with a file in memory there is nothing to do. */
static void save(void *p, size_t len)
{
	uintptr_t from = (uintptr_t)p & ~(PAGE - 1);

	if (msync((void *)from, (uintptr_t)p + len - from, MS_SYNC))
		die("ledger");
}

/* Synced, and before the end was announced: what comes after it doesn't count. */
static void synced(struct file *f, long first, long n)
{
	if (crashing)
		return;
	memcpy(f->durable + first, f->latest + first, n * sizeof(*f->latest));
	save(f->durable + first, n * sizeof(*f->latest));
}

static void op_read(struct file *f)
{
	long first, n = range(f, false, IO_MAX, &first);

	if (pread(f->fd, f->buf, n * CELL, first * CELL) != n * CELL)
		failed(f, "pread");
	compare(f, f->buf, first, n);
}

static void op_map_read(struct file *f)
{
	long first, n = range(f, false, IO_MAX, &first);

	compare(f, f->map + first * WORDS, first, n);
}

static void op_write(struct file *f)
{
	long first, n = range(f, false, IO_MAX / 4, &first);

	renew(f, f->buf, first, n);
	if (pwrite(f->fd, f->buf, n * CELL, first * CELL) != n * CELL)
		failed(f, "pwrite");
}

static void op_write_synced(struct file *f)
{
	long first, n = range(f, false, IO_MAX / 4, &first);
	struct iovec iov = { f->buf, n * CELL };

	renew(f, f->buf, first, n);
	if (pwritev2(f->fd, &iov, 1, first * CELL, RWF_DSYNC) != n * CELL)
		failed(f, "pwritev2");
	synced(f, first, n);
}

static void op_map_write(struct file *f)
{
	long first, n = range(f, false, IO_MAX / 8, &first);

	renew(f, f->map + first * WORDS, first, n);
}

static void op_direct_write(struct file *f)
{
	long first, n = range(f, true, IO_MAX, &first);

	renew(f, f->buf, first, n);
	if (pwrite(f->direct, f->buf, n * CELL, first * CELL) != n * CELL)
		failed(f, "pwrite");
}

/* The ledger knows of a hole before there can be one. */
static void make_hole(struct file *f, int mode)
{
	long first, i, n = range(f, true, IO_MAX, &first);

	f->version = (f->version | 1) + 2;
	for (i = first; i < first + n; i++) {
		f->latest[i] = f->version;
		f->hole[i] = f->version;
	}
	save(f->hole + first, n * sizeof(*f->hole));
	if (fallocate(f->fd, mode | FALLOC_FL_KEEP_SIZE, first * CELL, n * CELL))
		failed(f, "fallocate");
	f->version++;
}

static void op_punch(struct file *f)
{
	make_hole(f, FALLOC_FL_PUNCH_HOLE);
}

static void op_zero(struct file *f)
{
	make_hole(f, FALLOC_FL_ZERO_RANGE);
}

static void op_fsync(struct file *f)
{
	if (below(f, 2) ? fsync(f->fd) : fdatasync(f->fd))
		failed(f, "fsync");
	synced(f, 0, cells());
}

static void op_msync(struct file *f)
{
	long first, n = range(f, true, IO_MAX, &first);

	if (msync(f->map + first * WORDS, n * CELL, MS_SYNC))
		failed(f, "msync");
	synced(f, first, n);
}

static void op_writeback(struct file *f)
{
	if (sync_file_range(f->fd, 0, 0, SYNC_FILE_RANGE_WRITE))
		failed(f, "sync_file_range");
}

static void op_pageout(struct file *f)
{
	long first, n = range(f, true, IO_MAX, &first);

	madvise(f->map + first * WORDS, n * CELL, MADV_PAGEOUT);
}

static const struct op {
	const char *name;
	void (*fn)(struct file *f);
	int weight;
} table[] = {
	{ "read", op_read, 10 },
	{ "mapped read", op_map_read, 10 },
	{ "write", op_write, 10 },
	{ "synchronous write", op_write_synced, 2 },
	{ "mapped write", op_map_write, 10 },
	{ "direct write", op_direct_write, 3 },
	{ "punch", op_punch, 2 },
	{ "zero", op_zero, 1 },
	{ "fsync", op_fsync, 2 },
	{ "msync", op_msync, 2 },
	{ "writeback", op_writeback, 1 },
	{ "pageout", op_pageout, 10 },
};

#define NR_OPS	(sizeof(table) / sizeof(*table))

static void shut_down(const char *flags)
{
	uint32_t arg = (uint32_t)parse_number(flags);

	if (ioctl(dir_fd, GOINGDOWN, &arg))
		die("shutdown of %s", dir);
}

static void crash(void)
{
	int fd;

	if (!strcmp(what, "say")) {
		puts("now");
		fflush(stdout);
	} else if (!strcmp(what, "reset")) {
		fd = open("/proc/sysrq-trigger", O_WRONLY);
		if (fd < 0 || write(fd, "b", 1) != 1)
			die("sysrq-trigger");
	} else {
		shut_down(what + strlen("shutdown"));
	}
}

static void number(struct file *f, int id)
{
	f->id = id;
	f->durable = (uint32_t *)((char *)ledger + PAGE) + 2 * id * cells();
	f->hole = f->durable + cells();
}

static void open_file(struct file *f, int flags)
{
	char path[256];
	long first;

	snprintf(path, sizeof(path), "%s/crash%d", dir, f->id);
	f->op = "open";
	f->fd = open(path, O_RDWR | flags, 0600);
	if (f->fd < 0)
		die("%s", path);
	f->salt = mix64((seed << 8) + (unsigned int)f->id + 1);
	if (posix_memalign((void **)&f->buf, PAGE, IO_MAX))
		die("memory");
	if (!(flags & O_CREAT))
		return;
	f->latest = calloc(cells(), sizeof(*f->latest));
	f->direct = open(path, O_RDWR | O_DIRECT);
	if (f->direct < 0 || !f->latest || ftruncate(f->fd, mib << 20))
		die("%s", path);
	f->map = mmap(NULL, mib << 20, PROT_READ | PROT_WRITE, MAP_SHARED,
		      f->fd, 0);
	if (f->map == MAP_FAILED)
		die("mmap");
	/* One half is data, the other a hole that is filled as things go. */
	for (first = 0; first < cells() / 2; first += IO_MAX / CELL) {
		renew(f, f->buf, first, IO_MAX / CELL);
		if (pwrite(f->fd, f->buf, IO_MAX, first * CELL) != IO_MAX)
			die("%s", path);
	}
	if (fsync(f->fd) || fsync(dir_fd))
		die("%s", path);
	synced(f, 0, cells());
}

static void *work(void *arg)
{
	struct file *f = arg;
	const struct op *op;
	long sum, pick;
	size_t i;

	f->rnd = mix64(seed * 256 + (unsigned int)f->id);
	for (sum = 0, i = 0; i < NR_OPS; i++)
		sum += table[i].weight;
	for (;;) {
		pick = below(f, sum);
		for (op = table; pick >= op->weight; op++)
			pick -= op->weight;
		f->op = op->name;
		op->fn(f);
		if (atomic_fetch_add(&ops, 1) >= crash_at &&
		    !atomic_exchange(&crashing, true))
			crash();
	}
	return NULL;
}

static bool synced_once(const struct file *f)
{
	long i;

	for (i = 0; i < cells(); i++)
		if (f->durable[i])
			return true;
	return false;
}

/* Each word is what was synced, or what was written over it later, or zero if it may be a hole. */
static bool is_right(const struct file *f, uint64_t is, long i)
{
	uint32_t durable = f->durable[i / WORDS];
	uint32_t version = is >> 32;

	if (!is)
		return f->hole[i / WORDS] >= durable;
	return version >= durable && is == word(f, version, i);
}

/* Returns how many words are newer than what was synced. */
static long check(struct file *f)
{
	long i, newer = 0;
	struct stat st;
	uint64_t is;

	if (fstat(f->fd, &st) || st.st_size != (off_t)(mib << 20))
		die("size of file %d", f->id);
	for (i = 0; i < cells() * WORDS; i++) {
		if (i % (IO_MAX / 8) == 0 &&
		    pread(f->fd, f->buf, IO_MAX, i * 8) != IO_MAX)
			die("file %d", f->id);
		is = f->buf[i % (IO_MAX / 8)];
		if (!is_right(f, is, i)) {
			fprintf(stderr, "file %d at %ld: %016" PRIx64 " where version %x was synced (last hole: %x)\n",
				f->id, i * 8, is, f->durable[i / WORDS],
				f->hole[i / WORDS]);
			exit(EXIT_WRONG_DATA);
		}
		newer += is >> 32 > f->durable[i / WORDS];
	}
	return newer;
}

static size_t ledger_size(void)
{
	return PAGE + threads * 2 * cells() * sizeof(uint32_t);
}

static void map_ledger(int fd)
{
	ledger = mmap(NULL, ledger_len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (ledger == MAP_FAILED)
		die("%s", ledger_path);
}

static void open_ledger(bool fresh)
{
	int fd = open(ledger_path, O_RDWR | (fresh ? O_CREAT : 0), 0600);
	struct ledger head;

	if (fd < 0)
		die("%s", ledger_path);
	if (fresh) {
		ledger_len = ledger_size();
		/* A block device has the size it has. */
		if (ftruncate(fd, ledger_len) && errno != EINVAL)
			die("%s", ledger_path);
		map_ledger(fd);
		memset(ledger, 0, ledger_len);
		*ledger = (struct ledger) { MAGIC, seed, threads, mib };
		save(ledger, ledger_len);
		return;
	}
	if (pread(fd, &head, sizeof(head), 0) != sizeof(head) ||
	    head.magic != MAGIC)
		die("no ledger: %s", ledger_path);
	seed = head.seed;
	threads = head.threads;
	mib = head.mib;
	ledger_len = ledger_size();
	map_ledger(fd);
}

static void check_all(struct file *f)
{
	uint64_t i;
	long newer = 0;
	int files = 0;

	for (i = 0; i < threads; i++) {
		number(&f[i], i);
		/* It hadn't been made yet, perhaps. */
		if (!synced_once(&f[i]))
			continue;
		open_file(&f[i], 0);
		newer += check(&f[i]);
		files++;
	}
	if (!files)
		die("nothing was synced");
	printf("%ld words are newer than what was synced\n", newer);
}

static void run(struct file *f)
{
	pthread_t tid;
	uint64_t i;

	signal(SIGBUS, on_sigbus);
	signal(SIGUSR1, on_arm);
	for (i = 0; i < threads; i++) {
		number(&f[i], i);
		open_file(&f[i], O_CREAT | O_TRUNC);
	}
	for (i = 0; i < threads; i++)
		if (pthread_create(&tid, NULL, work, &f[i]))
			die("thread");
	for (;;)
		pause();
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "dir", 1, NULL, 'd' }, { "ledger", 1, NULL, 'l' },
		{ "seed", 1, NULL, 'r' }, { "threads", 1, NULL, 't' },
		{ "mib", 1, NULL, 'm' }, { "at", 1, NULL, 'a' },
		{ "check", 0, NULL, 'c' }, { "shutdown", 1, NULL, 's' }, { }
	};
	const char *flags = NULL;
	bool checking = false;
	struct file *f;
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (c) {
		case 'd':
			dir = optarg;
			break;
		case 'l':
			ledger_path = optarg;
			break;
		case 'r':
			seed = parse_number(optarg);
			break;
		case 't':
			threads = parse_number(optarg);
			break;
		case 'm':
			mib = parse_number(optarg);
			break;
		case 'a':
			at = parse_number(optarg);
			break;
		case 'c':
			checking = true;
			break;
		case 's':
			flags = optarg;
			break;
		default:
			return EXIT_SETUP;
		}
	}
	what = argv[optind];
	if (!dir || (!flags && (!ledger_path || (!checking && !what)))) {
		fputs("filecrash: see its source\n", stderr);
		return EXIT_SETUP;
	}
	dir_fd = open(dir, O_RDONLY | O_DIRECTORY);
	if (dir_fd < 0)
		die("%s", dir);
	if (flags) {
		shut_down(flags);
		return EXIT_OK;
	}
	open_ledger(!checking);
	f = calloc(threads, sizeof(*f));
	if (!f)
		die("memory");
	if (checking)
		check_all(f);
	else
		run(f);
	return EXIT_OK;
}
