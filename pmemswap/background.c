// SPDX-License-Identifier: GPL-2.0-only
/*
 * When slots are compressed in the background, which of them, and how fast.
 */

/**
 * DOC: compression in the background
 *
 * A thread of each device wakes up once a second, and when the device is full. It
 *
 * - cleans packed pages when too much of them is wasted;
 * - goes through the slot table, if a slot can have got cold by now: each pass finds out
 *   when that will next be so;
 * - in mode "cold" does so only while swap has most of the pool; in mode "off" only
 *   cleans, and only when the device is full.
 *
 * When nothing cold is left and the device is full all the same, what counts as cold gets younger
 * with each pass: to have a page compressed is better than to have it on another device.
 *
 * The thread has the lowest priority. It sleeps between slices of work for so long that it stays
 * within its part of one CPU. What counts is the CPU time that it had, not that of others in
 * between.
 */

#include <linux/freezer.h>
#include <linux/jiffies.h>
#include <linux/kthread.h>
#include <linux/math64.h>
#include <linux/minmax.h>
#include <linux/sched.h>
#include <linux/sched/prio.h>
#include <uapi/linux/sched/types.h>

#include "compress.h"
#include "pmemswap.h"

#define PERIOD		HZ

/* The pool is low when swap has all but one part in this: page cache would give way. */
#define LOW_PART	4

/* By then nothing is too young any more. */
#define HURRY_MAX	20

static bool pool_low(struct pmemswap *ps)
{
	unsigned long nr = ps->tier->nr_pages;

	return pmem_tier_used_pages(ps->tier, PMEM_TIER_SWAP) > nr - nr / LOW_PART;
}

/* Is there reason to look at slots? @more: it was in the middle of that. */
static bool pass_wanted(struct ps_compress *c, bool called, bool more)
{
	switch (READ_ONCE(c->mode)) {
	case PS_COMPRESS_COLD:
		if (!pool_low(c->ps))
			return false;
		break;
	case PS_COMPRESS_OFF:
		return false;
	}
	/* When nothing is left that could help, being full is no reason to look again. */
	return (called && c->hurry < HURRY_MAX) || more ||
	       time_after_eq(jiffies, c->next_pass);
}

static void begin_slice(struct ps_compress *c)
{
	if (c->hurry && !ps_is_full(c->ps))
		c->hurry = 0;
	c->pass.min_age = ps_stamps(msecs_to_jiffies(READ_ONCE(c->cold_age_ms))) >>
			  c->hurry;
}

static void end_pass(struct ps_compress *c)
{
	struct ps_pass *pass = &c->pass;
	unsigned long wait = 0;

	if (ps_is_full(c->ps))
		c->hurry = min(c->hurry + 1, HURRY_MAX);
	else if (pass->min_age > pass->oldest)
		wait = (pass->min_age - pass->oldest) << PS_STAMP_SHIFT;
	c->next_pass = jiffies + max(wait, PERIOD);
	pass->at = 0;
	pass->oldest = 0;
}

/* Work for a while. Returns true when there is more to do. */
static bool work(struct ps_compress *c, bool called, bool more)
{
	bool pass = pass_wanted(c, called, more);
	u64 start;

	if (!pass && !called && !more && READ_ONCE(c->mode) == PS_COMPRESS_OFF)
		return false;
	mutex_lock(&c->lock);
	start = ktime_get_ns();
	pack_begin(&c->pack);
	begin_slice(c);
	do {
		more = ps_compress_some(c, pass ? &c->pass : NULL);
		cond_resched();
	} while (more && ktime_get_ns() - start < PS_SLICE_NS &&
		 !freezing(current) && !kthread_should_stop());
	pack_end(&c->pack);
	if (pass && !more)
		end_pass(c);
	mutex_unlock(&c->lock);
	return more;
}

/* Others have the CPU until what was used is no more than the thread's part. */
static void pause_for_others(struct ps_compress *c)
{
	u64 ran = READ_ONCE(current->se.sum_exec_runtime);

	c->owed += ran - c->ran;
	c->ran = ran;
	while (!kthread_should_stop()) {
		unsigned int percent = READ_ONCE(c->cpu_percent);
		unsigned int others = 100 - percent;
		unsigned long pause;
		u64 start, paid;

		if (!others) {
			c->owed = 0;
			return;
		}
		/* Less than that is put off. */
		pause = nsecs_to_jiffies(div_u64(c->owed * others, percent));
		if (!pause)
			return;
		start = ktime_get_ns();
		wait_event_freezable_timeout(c->wake, kthread_should_stop() ||
					     READ_ONCE(c->cpu_percent) != percent,
					     pause);
		paid = div_u64((ktime_get_ns() - start) * percent, others);
		c->owed -= min(c->owed, paid);
	}
}

static bool is_called(struct ps_compress *c)
{
	return kthread_should_stop() || READ_ONCE(c->kicked);
}

/**
 * ps_compress_thread() - compresses in the background
 * @data: struct ps_compress, prepared
 *
 * Return: 0, when it is stopped.
 */
int ps_compress_thread(void *data)
{
	struct ps_compress *c = data;
	bool more = false;

	set_freezable();
	sched_set_normal(current, MAX_NICE);
	c->next_pass = jiffies;
	while (!kthread_should_stop()) {
		more = work(c, xchg(&c->kicked, false), more);
		try_to_freeze();
		pause_for_others(c);
		if (!more)
			wait_event_freezable_timeout(c->wake, is_called(c),
						     READ_ONCE(c->mode) == PS_COMPRESS_OFF ?
						     MAX_SCHEDULE_TIMEOUT : PERIOD);
	}
	return 0;
}

/**
 * ps_compress_kick() - the device is full
 * @ps: the device
 *
 * Context: any but interrupts.
 */
void ps_compress_kick(struct pmemswap *ps)
{
	if (!READ_ONCE(ps->compress->kicked))
		ps_compress_changed(ps);
}

/**
 * ps_compress_changed() - what the thread goes by has changed
 * @ps: the device
 *
 * Context: any but interrupts.
 */
void ps_compress_changed(struct pmemswap *ps)
{
	struct ps_compress *c = ps->compress;

	WRITE_ONCE(c->kicked, true);
	wake_up(&c->wake);
}

/**
 * ps_compress_cpu_ns() - CPU time that compression has used
 * @ps: the device, which has its files in sysfs still
 *
 * Context: any.
 * Return: nanoseconds.
 */
u64 ps_compress_cpu_ns(struct pmemswap *ps)
{
	struct ps_compress *c = ps->compress;
	struct task_struct *task = READ_ONCE(c->task);
	u64 ns = atomic64_read(&c->ns);

	if (task)
		ns += READ_ONCE(task->se.sum_exec_runtime);
	return ns;
}
