/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the unit tests share: cases that report as KTAP, expectations, threads, random numbers.
 */
#ifndef _UNIT_H
#define _UNIT_H

#include <stdbool.h>
#include <stdint.h>

struct unit_case {
	const char *name;
	void (*run)(const void *arg);
	const void *arg;
};

/* Runs all cases, or with --count tells how many there are; returns the exit status. */
int unit_main(int argc, char **argv, const struct unit_case *cases, unsigned int nr);

/* Each returns whether it was as expected; a case fails when one wasn't. For any thread. */
bool unit_expect(bool as_expected, const char *file, int line, const char *what);
bool unit_expect_eq(long a, long b, const char *file, int line, const char *what);
bool unit_expect_str(const char *a, const char *b, const char *file, int line, const char *what);

#define expect(cond)		unit_expect(cond, __FILE__, __LINE__, #cond)
#define expect_eq(a, b)		unit_expect_eq((long)(a), (long)(b), __FILE__, __LINE__, \
					       #a " == " #b)
#define expect_str(a, b)	unit_expect_str(a, b, __FILE__, __LINE__, #a " is " #b)

/* Has the current case failed? */
bool unit_failed(void);

/* The current case can't run here. */
void unit_skip(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* The state of a generator; the same each time unless $UNIT_SEED says else. */
uint64_t unit_seed(uint64_t which);
uint64_t unit_random(uint64_t *state);

/* Runs @fn in @nr threads that start together, and waits for them. */
void unit_threads(unsigned int nr, void (*fn)(unsigned int id, void *arg), void *arg);

#endif /* _UNIT_H */
