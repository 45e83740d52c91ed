// SPDX-License-Identifier: GPL-2.0-only
/*
 * Which pages go when room is needed: a clock over the pool, and giving back to swap at once.
 */

#include <linux/jiffies.h>
#include <linux/mm.h>
#include <linux/sched/signal.h>

#include "cachex.h"
#include "trace.h"

/* Candidates for a page that swap needs now; the first half may say that they are in use. */
#define GIVE_BACK_SCAN	256UL

/* When all of them were in use, there is no use in looking again at once. */
#define NONE_PAUSE	max(HZ / 100, 1)

/*
 * How often the clock may go round: after the first time all accesses are forgotten, and
 * then those that promotion has seen.
 */
#define ROUNDS		(CX_USES_HOT + 2)

/* What is in use after so many rounds will be for a while. */
#define LITTLE_PAUSE	(HZ / 10)

/* How often draining looks again at what is in use, and how long it waits in between. */
#define DRAIN_TRIES	20
#define DRAIN_PAUSE	(HZ / 10)

/* A hand's next page, or -1 when the page cache has none. */
static long next_of(struct cx_tier *ct, unsigned long *hand)
{
	unsigned long nr = ct->tier->nr_pages;
	unsigned long index;

	index = pmem_tier_next_cached(ct->tier, min(READ_ONCE(*hand), nr));
	if (index >= nr)
		index = pmem_tier_next_cached(ct->tier, 0);
	if (index >= nr)
		return -1;
	WRITE_ONCE(*hand, index + 1);
	return index;
}

static long next(struct cx_tier *ct)
{
	return next_of(ct, &ct->hand);
}

/* How many pages should be free when reclaim is done. */
static unsigned long target(struct cx_tier *ct)
{
	unsigned long reserve = pmem_tier_reserve_pages(ct->tier);
	unsigned long more = reserve / 4 + 256UL * num_online_cpus();

	return min(reserve + min(more, ct->tier->nr_pages / 8),
		   ct->tier->nr_pages);
}

/**
 * cx_free_percent() - how much of a pool is free beyond what reclaim keeps so
 * @ct: the tier
 *
 * Context: any.
 * Return: that, in percent of the pool.
 */
unsigned int cx_free_percent(struct cx_tier *ct)
{
	unsigned long free = pmem_tier_free_pages(ct->tier);
	unsigned long want = target(ct);

	return free > want ? (free - want) * 100 / ct->tier->nr_pages : 0;
}

/**
 * cx_reclaim_work() - make the pool's reserve free again
 * @work: of a tier
 *
 * Context: process context, may sleep.
 */
void cx_reclaim_work(struct work_struct *work)
{
	struct cx_tier *ct = container_of(work, struct cx_tier, reclaim);
	unsigned long left, want = target(ct);
	unsigned long dropped = 0;
	long index;

	left = ROUNDS * pmem_tier_used_pages(ct->tier, PMEM_TIER_CACHE);
	while (left-- && pmem_tier_free_pages(ct->tier) < want) {
		index = next(ct);
		if (index < 0)
			break;
		if (cx_drop(ct, index, CX_COLD, CX_RECLAIMED))
			dropped++;
		cond_resched();
	}
	if (!dropped)
		WRITE_ONCE(ct->pause_until, jiffies + HZ);
	else if (pmem_tier_free_pages(ct->tier) < want)
		WRITE_ONCE(ct->pause_until, jiffies + LITTLE_PAUSE);
	trace_reclaim(ct->tier->name, dropped,
		      pmem_tier_free_pages(ct->tier));
}

/**
 * cx_low() - few pages are free
 * @tier: where
 *
 * Context: any, under RCU.
 */
void cx_low(struct pmem_tier *tier)
{
	struct cx_tier *ct = tier->priv[PMEM_TIER_CACHE];

	if (time_after_eq(jiffies, READ_ONCE(ct->pause_until)))
		queue_work(cx_wq, &ct->reclaim);
}

/**
 * cx_give_back() - swap needs a page now
 * @tier: where
 *
 * Context: any with interrupts enabled, under RCU; doesn't sleep.
 * Return: false when no page can go at once.
 */
bool cx_give_back(struct pmem_tier *tier)
{
	struct cx_tier *ct = tier->priv[PMEM_TIER_CACHE];
	unsigned long i, most;
	long index;
	bool used;

	if (time_before(jiffies, READ_ONCE(ct->none_until)))
		return false;
	/* To find the few that are left in a large pool takes time. */
	most = 2 * pmem_tier_used_pages(tier, PMEM_TIER_CACHE);
	most = min(most, GIVE_BACK_SCAN);
	for (i = 0; i < most; i++) {
		index = next(ct);
		if (index < 0)
			break;
		/* Without a reference this is a hint. */
		used = data_race(ct->pages[index].uses > 0);
		if (i < most / 2 && (cx_used(ct, index) || used))
			continue;
		if (cx_drop(ct, index, CX_QUICK, CX_GIVEN_BACK))
			return true;
	}
	WRITE_ONCE(ct->none_until, jiffies + NONE_PAUSE);
	return false;
}

/**
 * cx_drop_small() - look at one page, and drop it if its file is small
 * @ct: the tier
 * @pages: what small is
 *
 * Context: any with interrupts enabled; @ct stays.
 * Return: true when it was dropped.
 */
bool cx_drop_small(struct cx_tier *ct, unsigned long pages)
{
	long index = next_of(ct, &ct->small_hand);

	return index >= 0 && cx_drop_if_small(ct, index, pages);
}

/* Drop all that isn't in use. */
static void drain_once(struct cx_tier *ct)
{
	unsigned long nr = ct->tier->nr_pages;
	unsigned long index = 0;

	while (!fatal_signal_pending(current)) {
		index = pmem_tier_next_cached(ct->tier, index);
		if (index >= nr)
			break;
		cx_drop_wait(ct, index++);
		cond_resched();
	}
}

/**
 * cx_drain() - drop all pages of a tier
 * @ct: the tier
 *
 * Nothing tells when somebody lets go of a page, so this looks again and again.
 *
 * Context: process context, may sleep, for some seconds.
 * Return: pages that are there still.
 */
unsigned long cx_drain(struct cx_tier *ct)
{
	int i;

	for (i = 0; i < DRAIN_TRIES; i++) {
		drain_once(ct);
		if (!pmem_tier_used_pages(ct->tier, PMEM_TIER_CACHE) ||
		    fatal_signal_pending(current))
			break;
		pmem_tier_drop_cpu_refs();
		if (i)
			schedule_timeout_uninterruptible(DRAIN_PAUSE);
	}
	return pmem_tier_used_pages(ct->tier, PMEM_TIER_CACHE);
}
