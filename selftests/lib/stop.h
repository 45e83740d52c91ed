/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * SIGTERM ends a program's threads after the operation that each is in; it interrupts no system
 * call of theirs.
 */
#ifndef _SELFTESTS_STOP_H
#define _SELFTESTS_STOP_H

#include <pthread.h>
#include <signal.h>
#include <stddef.h>

static volatile sig_atomic_t stop;

static void on_term(int sig)
{
	(void)sig;
	stop = 1;
}

static inline void mask_term(int how)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	pthread_sigmask(how, &set, NULL);
}

/* Before the threads are made: they don't get the signal. */
static inline void stop_on_term(void)
{
	signal(SIGTERM, on_term);
	mask_term(SIG_BLOCK);
}

/* Behind that: the main thread does. */
static inline void let_term_in(void)
{
	mask_term(SIG_UNBLOCK);
}

#endif /* _SELFTESTS_STOP_H */
