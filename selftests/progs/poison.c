// SPDX-License-Identifier: GPL-2.0-only
/*
 * Pages of the pool fail, in whatever state they are: who has one is told, with the right
 * address, and nobody else notices.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include "area.h"

#define EARLY_KILL	"/proc/sys/vm/memory_failure_early_kill"
#define CHAIN	"/tmp/poison-chain"
#define PAGES	64

static struct area area;

/* ---- SIGBUS ---- */

static sigjmp_buf back;
static volatile sig_atomic_t jump, signals;
static volatile int code;
static void *volatile address;

static void on_sigbus(int sig, siginfo_t *info, void *context)
{
	(void)sig;
	(void)context;
	signals++;
	code = info->si_code;
	address = info->si_addr;
	if (jump)
		siglongjmp(back, 1);
}

static void catch_sigbus(void)
{
	struct sigaction act = {
		.sa_sigaction = on_sigbus,
		.sa_flags = SA_SIGINFO | SA_NODEFER,
	};

	if (sigaction(SIGBUS, &act, NULL))
		die("sigaction");
}

/* What an access to a page ends in: 0, or si_code */
static int access_page(uint64_t i, bool write)
{
	volatile uint64_t *at = area_page(&area, i);

	jump = 1;
	code = 0;
	if (!sigsetjmp(back, 1)) {
		if (write)
			at[9] = at[9];
		else
			(void)at[9];
	}
	jump = 0;
	return code;
}

static void must_fail(uint64_t i, bool write, int wanted)
{
	int got = access_page(i, write);
	uintptr_t at = (uintptr_t)address & ~(PAGE - 1);

	if (got != wanted)
		fail("page %" PRIu64 ": si_code %d, not %d", i, got, wanted);
	if (at != (uintptr_t)area_page(&area, i))
		fail("page %" PRIu64 ": the address is %p, not %p", i, address,
		     area_page(&area, i));
}

/* All but one, by their data */
static void others_live(uint64_t bad)
{
	uint64_t i;

	for (i = 0; i < area.pages; i++)
		if (i != bad)
			area_check_page(&area, i);
}

/* ---- Pages ---- */

static uint64_t pfn_of(uint64_t i)
{
	uint64_t entry = pagemap_of(area_page(&area, i));

	if (!(entry & PM_PRESENT))
		fail("page %" PRIu64 " isn't mapped", i);
	return entry & PM_PFN;
}

static void poison_pfn(uint64_t pfn)
{
	same("corrupt-pfn", (uint64_t)hwpoison(pfn), 0);
}

/* It isn't free, and nobody in mm's eyes has it: it is left in the direct map. */
static void poison_slot(uint64_t pfn)
{
	same("corrupt-pfn", (uint64_t)hwpoison(pfn), EHWPOISON);
}

static void must_be(uint64_t i, enum where where)
{
	if (where_is(area_page(&area, i)) != where)
		fail("page %" PRIu64 " is %s, not %s", i, where_name(where_is(area_page(&area, i))),
		     where_name(where));
}

static void come_in(void)
{
	uint64_t i;

	for (i = 0; i < area.pages; i++)
		area_check_page(&area, i);
	for (i = 0; i < area.pages; i++)
		must_be(i, LENT);
}

/* An area that is swapped out */
static void begin_out(void)
{
	catch_sigbus();
	area_new(&area, PAGES, 0);
	area_fill(&area, KIND_RANDOM);
	area_out(&area);
}

/* ... or lent */
static void begin(void)
{
	begin_out();
	come_in();
}

/* A page that failed doesn't hinder its address from being used again. */
static void reuse(uint64_t i)
{
	if (madvise(area_page(&area, i), PAGE, MADV_DONTNEED))
		die("MADV_DONTNEED");
	area_write(&area, i, KIND_RANDOM);
	range_out(&area, i, 1);
	area_check(&area);
}

/* ---- Cases ---- */

/* The process itself runs into it. arg: writes, has changed the page */
static void own(const uint64_t *arg)
{
	begin();
	if (arg[1])
		area_write(&area, 7, KIND_RANDOM);
	signals = 0;
	if (madvise(area_page(&area, 7), PAGE, MADV_HWPOISON))
		die("MADV_HWPOISON");
	same("signals", (uint64_t)signals, 1);
	same("si_code", (uint64_t)code, BUS_MCEERR_AR);
	same("the address", (uintptr_t)address, (uintptr_t)area_page(&area, 7));
	if (pagemap_of(area_page(&area, 7)) & PM_PRESENT)
		fail("it is mapped still");
	must_fail(7, arg[0], BUS_MCEERR_AR);
	must_fail(7, !arg[0], BUS_MCEERR_AR);
	others_live(7);
	reuse(7);
}

/* Somebody else finds out: nothing is told before the access. */
static void late(const uint64_t *arg)
{
	uint64_t pfn;

	begin();
	pfn = pfn_of(20);
	signals = 0;
	poison_pfn(pfn);
	same("signals", (uint64_t)signals, 0);
	others_live(20);
	must_fail(20, arg[0], BUS_MCEERR_AR);
	/* Once more is nothing new. */
	poison_slot(pfn);
	others_live(20);
	reuse(20);
}

/* ... but to those who want to know. arg: it is the system that wants all to */
static void early(const uint64_t *arg)
{
	if (!arg[0] && prctl(PR_MCE_KILL, PR_MCE_KILL_SET, PR_MCE_KILL_EARLY, 0, 0))
		skip("no PR_MCE_KILL");
	begin();
	signals = 0;
	if (arg[0])
		write_file(EARLY_KILL, "1");
	poison_pfn(pfn_of(20));
	if (arg[0])
		write_file(EARLY_KILL, "0");
	same("signals", (uint64_t)signals, 1);
	same("si_code", (uint64_t)code, BUS_MCEERR_AO);
	same("the address", (uintptr_t)address, (uintptr_t)area_page(&area, 20));
	must_fail(20, false, BUS_MCEERR_AR);
	others_live(20);
}

static void wait_child(pid_t pid)
{
	int status;

	if (waitpid(pid, &status, 0) != pid)
		die("waitpid");
	if (!WIFEXITED(status) || WEXITSTATUS(status))
		fail("a child ended with status %#x", status);
}

static pid_t child(void)
{
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid < 0)
		die("fork");
	if (!pid)
		prctl(PR_SET_PDEATHSIG, SIGKILL);
	return pid;
}

static void tell(int fd)
{
	if (write(fd, "x", 1) != 1)
		die("pipe");
}

static void await(int fd)
{
	char c;

	if (read(fd, &c, 1) != 1)
		fail("the other one is gone");
}

/*
 * Several processes have the page. arg: 0: forked while it was lent; 1: while it was swapped
 * out, so that it is shared. The second child hasn't looked at it when it fails.
 */
static void shared(const uint64_t *arg)
{
	int ready[2], go[2];
	uint64_t pfn;
	pid_t pid[2];
	int i;

	begin_out();
	if (!arg[0])
		come_in();
	if (pipe(ready) || pipe(go))
		die("pipe");
	for (i = 0; i < 2; i++) {
		pid[i] = child();
		if (pid[i])
			continue;
		if (!i)
			area_check(&area);
		tell(ready[1]);
		await(go[0]);
		others_live(33);
		must_fail(33, false, i && arg[0] ? BUS_ADRERR : BUS_MCEERR_AR);
		must_fail(33, true, i && arg[0] ? BUS_ADRERR : BUS_MCEERR_AR);
		_exit(EXIT_OK);
	}
	await(ready[0]);
	await(ready[0]);
	area_check(&area);
	if (arg[0])
		at_least("shared_pages", stat_of("shared_pages"), 1);
	must_be(33, LENT);
	pfn = pfn_of(33);
	poison_pfn(pfn);
	tell(go[1]);
	tell(go[1]);
	others_live(33);
	must_fail(33, false, BUS_MCEERR_AR);
	must_fail(33, true, BUS_MCEERR_AR);
	wait_child(pid[0]);
	wait_child(pid[1]);
	others_live(33);
}

/* Swapped out, in its slot. arg: writes */
static void raw(const uint64_t *arg)
{
	char path[256];
	uint64_t pfn;

	begin();
	pfn = pfn_of(11);
	/* In place */
	snprintf(path, sizeof(path), "%s/unlend", getenv("LENT_STATS"));
	write_file(path, "1");
	must_be(11, SWAPPED);
	poison_slot(pfn);
	must_fail(11, arg[0], BUS_ADRERR);
	must_fail(11, !arg[0], BUS_ADRERR);
	others_live(11);
	reuse(11);
}

/*
 * A pipe has it as well: that one may look, at its own risk. So it must stay in the direct map,
 * which it doesn't when all is said to be well. arg: the slot is shared, with one who hasn't
 * looked at it
 */
static void pinned(const uint64_t *arg)
{
	static unsigned char was[PAGE], is[PAGE];
	struct iovec iov;
	int go[2], fd[2];
	pid_t pid = 0;

	begin_out();
	if (arg[0]) {
		if (pipe(go))
			die("pipe");
		pid = child();
		if (!pid) {
			await(go[0]);
			must_fail(5, false, BUS_ADRERR);
			others_live(5);
			_exit(EXIT_OK);
		}
	}
	come_in();
	if (arg[0])
		at_least("shared_pages", stat_of("shared_pages"), PAGES);
	memcpy(was, area_page(&area, 5), PAGE);
	iov.iov_base = area_page(&area, 5);
	iov.iov_len = PAGE;
	if (pipe(fd) || vmsplice(fd[1], &iov, 1, 0) != (ssize_t)PAGE)
		die("vmsplice");
	must_be(5, LENT);
	same("corrupt-pfn", (uint64_t)hwpoison(pfn_of(5)), ENXIO);
	must_fail(5, false, BUS_MCEERR_AR);
	if (pid) {
		tell(go[1]);
		wait_child(pid);
	}
	others_live(5);
	if (read(fd[0], is, PAGE) != PAGE || memcmp(was, is, PAGE))
		fail("the pipe has something else");
	close(fd[0]);
	close(fd[1]);
}

static void locked(const uint64_t *arg)
{
	(void)arg;
	begin();
	if (mlock(area.addr, PAGES * PAGE))
		die("mlock");
	if (where_is(area_page(&area, 8)) == LENT)
		poison_pfn(pfn_of(8));
	else
		skip("mlock moves lent pages");
	must_fail(8, false, BUS_MCEERR_AR);
	others_live(8);
}

/* Lent without a slot, after swapoff */
static void orphan(const uint64_t *arg)
{
	char command[256];

	(void)arg;
	begin();
	snprintf(command, sizeof(command), "swapoff %s", getenv("LENT_DEVICE"));
	if (system(command))
		fail("%s", command);
	must_be(40, LENT);
	poison_pfn(pfn_of(40));
	must_fail(40, true, BUS_MCEERR_AR);
	others_live(40);
}

/* Nobody's: it isn't handed out any more, and that is all. */
static void nobodys(const uint64_t *arg)
{
	uint64_t pfn;

	(void)arg;
	begin();
	pfn = pfn_of(0);
	area_free(&area);
	wait_lent(0);
	poison_pfn(pfn);
	area_new(&area, PAGES, 0);
	area_fill(&area, KIND_RANDOM);
	area_out(&area);
	come_in();
}

/*
 * A page failed, and the process that had it mapped forks and is gone, as does the child, and so on
 * for as long as there is CHAIN.
 */
static void chain(const uint64_t *arg)
{
	pid_t pid;

	(void)arg;
	begin();
	poison_pfn(pfn_of(20));
	if (munmap(area.addr, 20 * PAGE) ||
	    munmap(area_page(&area, 21), (PAGES - 21) * PAGE))
		die("munmap");
	while (!access(CHAIN, F_OK)) {
		pid = fork();
		/* All numbers may be those of processes that nobody has waited for so far. */
		if (pid < 0 && errno != EAGAIN)
			die("fork");
		if (pid > 0)
			_exit(EXIT_OK);
	}
}

/* ---- While pages move ---- */

static volatile bool stop;

static void *mover(void *unused)
{
	char drain_path[256], unlend_path[256];
	uint64_t i;

	snprintf(drain_path, sizeof(drain_path), "%s/drain", getenv("LENT_STATS"));
	snprintf(unlend_path, sizeof(unlend_path), "%s/unlend", getenv("LENT_STATS"));
	for (i = 0; !stop; i++) {
		int fd = open(i % 3 ? unlend_path : drain_path, O_WRONLY);

		/* Busy is fine: more are lent meanwhile. */
		if (fd < 0 || (write(fd, "1", 1) != 1 && errno != EBUSY))
			die("%s", i % 3 ? unlend_path : drain_path);
		close(fd);
	}
	return unused;
}

/*
 * Pages are drained, unlent, mapped in and swapped out while some of them fail. Whatever state
 * they are in: a page reads as it was written, or ends in SIGBUS if it was one of those.
 * arg: rounds, pages that fail
 */
static void moving(const uint64_t *arg)
{
	uint64_t round, i, failed = 0, lost = 0, seed = 1;
	bool *bad = calloc(PAGES, sizeof(*bad));
	pthread_t thread;

	begin();
	if (!bad || pthread_create(&thread, NULL, mover, NULL))
		die("thread");
	for (round = 0; round < arg[0]; round++) {
		/* What can't be taken is of no interest here. */
		madvise(area.addr, PAGES * PAGE, MADV_PAGEOUT);
		for (i = 0; i < PAGES; i++) {
			uint64_t pfn;

			if (bad[i])
				continue;
			pfn = access_page(i, false) ? 0 : lent_pfn(area_page(&area, i));
			if (failed < arg[1] && !(next_random(&seed) % 64) && pfn) {
				/* It may be another one's by now, so: anyone's in here. */
				hwpoison(pfn);
				failed++;
			}
		}
		for (i = 0; i < PAGES; i++) {
			if (bad[i])
				continue;
			if (access_page(i, false)) {
				bad[i] = true;
				lost++;
			} else if (round % 2) {
				area_check_page(&area, i);
			}
		}
	}
	stop = true;
	pthread_join(thread, NULL);
	printf("%" PRIu64 " pages failed, %" PRIu64 " were lost\n", failed, lost);
	at_least("pages that failed", failed, 1);
	at_least("pages that failed, less those lost", failed, lost);
}

static const struct test_case cases[] = {
	{ "own", own },
	{ "late", late },
	{ "early", early },
	{ "shared", shared },
	{ "raw", raw },
	{ "pinned", pinned },
	{ "locked", locked },
	{ "orphan", orphan },
	{ "free", nobodys },
	{ "chain", chain },
	{ "moving", moving },
	{ NULL, NULL },
};

int main(int argc, char **argv)
{
	return run_case(cases, argc, argv);
}
