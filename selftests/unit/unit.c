// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the unit tests share: cases that report as KTAP, expectations, threads, random numbers.
 */

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <shim.h>

#include "unit.h"

/* A case takes a second at most; who sees this much time pass, waits for ever. */
#define HANG_SECONDS	120
#define MAX_COMPLAINTS	10
#define MAX_THREADS	16

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define __SANITIZE_ADDRESS__
#endif
#endif

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/lsan_interface.h>
#else
static int __lsan_do_recoverable_leak_check(void)
{
	return 0;
}
#endif

static unsigned int complaints;
static char skip_reason[200];

/* What the sanitizers of a program that has them ask it at its start */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "detect_leaks=1:detect_stack_use_after_return=1";
}

static bool complain(void)
{
	return __atomic_fetch_add(&complaints, 1, __ATOMIC_RELAXED) < MAX_COMPLAINTS;
}

/* Called by the thread sanitizer when it has found a race and told so */
void __tsan_on_report(void *report);
void __tsan_on_report(void *report)
{
	(void)report;
	complain();
}

bool unit_expect(bool as_expected, const char *file, int line, const char *what)
{
	if (!as_expected && complain())
		printf("# %s:%d: expected %s\n", file, line, what);
	return as_expected;
}

bool unit_expect_eq(long a, long b, const char *file, int line, const char *what)
{
	if (a != b && complain())
		printf("# %s:%d: expected %s, but %ld != %ld\n", file, line, what, a, b);
	return a == b;
}

bool unit_expect_str(const char *a, const char *b, const char *file, int line, const char *what)
{
	bool same = a && b ? !strcmp(a, b) : a == b;

	if (!same && complain())
		printf("# %s:%d: expected %s, but '%s' isn't '%s'\n", file, line, what,
		       a ? a : "(null)", b ? b : "(null)");
	return same;
}

bool unit_failed(void)
{
	return __atomic_load_n(&complaints, __ATOMIC_RELAXED);
}

void unit_skip(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(skip_reason, sizeof(skip_reason), fmt, ap);
	va_end(ap);
}

static uint64_t base_seed(void)
{
	const char *s = getenv("UNIT_SEED");

	return s ? strtoull(s, NULL, 0) : 1;
}

uint64_t unit_seed(uint64_t which)
{
	uint64_t state = base_seed() << 32 ^ which;

	return unit_random(&state);
}

uint64_t unit_random(uint64_t *state)
{
	uint64_t x = *state += 0x9e3779b97f4a7c15ULL;

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ULL;
	x = (x ^ x >> 27) * 0x94d049bb133111ebULL;
	return x ^ x >> 31;
}

struct thread {
	pthread_t handle;
	pthread_barrier_t *start;
	unsigned int id;
	void (*fn)(unsigned int id, void *arg);
	void *arg;
};

static void *thread_main(void *data)
{
	struct thread *t = data;

	shim_perturb_seed = (uint32_t)unit_seed(1000 + t->id) | 1;
	pthread_barrier_wait(t->start);
	t->fn(t->id, t->arg);
	return NULL;
}

void unit_threads(unsigned int nr, void (*fn)(unsigned int id, void *arg), void *arg)
{
	struct thread threads[MAX_THREADS];
	pthread_barrier_t start;
	unsigned int i;

	if (nr > MAX_THREADS || pthread_barrier_init(&start, NULL, nr))
		abort();
	for (i = 0; i < nr; i++) {
		threads[i] = (struct thread){ .start = &start, .id = i, .fn = fn, .arg = arg };
		if (pthread_create(&threads[i].handle, NULL, thread_main, &threads[i]))
			abort();
	}
	for (i = 0; i < nr; i++)
		pthread_join(threads[i].handle, NULL);
	pthread_barrier_destroy(&start);
}

int unit_main(int argc, char **argv, const struct unit_case *cases, unsigned int nr)
{
	bool failed = false;
	unsigned int i;

	if (argc > 1 && !strcmp(argv[1], "--count")) {
		printf("%u\n", nr);
		return 0;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	printf("KTAP version 1\n1..%u\n", nr);
	for (i = 0; i < nr; i++) {
		complaints = 0;
		skip_reason[0] = '\0';
		alarm(HANG_SECONDS);
		cases[i].run(cases[i].arg);
		alarm(0);
		expect(!__lsan_do_recoverable_leak_check());
		expect_eq(shim_live_pieces(), 0);
		if (complaints) {
			printf("# UNIT_SEED=%llu\n", (unsigned long long)base_seed());
			failed = true;
		}
		printf("%sok %u - %s", complaints ? "not " : "", i + 1, cases[i].name);
		if (skip_reason[0])
			printf(" # SKIP %s", skip_reason);
		printf("\n");
	}
	return failed;
}
