// SPDX-License-Identifier: GPL-2.0-only
/*
 * For tests: who loads this holds the mmap_lock of its memory for writing, until it gets a signal.
 */

#include <linux/mm.h>
#include <linux/module.h>
#include <linux/sched/signal.h>

static bool held;
module_param(held, bool, 0444);
MODULE_PARM_DESC(held, "It is held");

static int __init hold_init(void)
{
	mmap_write_lock(current->mm);
	WRITE_ONCE(held, true);
	for (;;) {
		set_current_state(TASK_INTERRUPTIBLE);
		if (signal_pending(current))
			break;
		schedule();
	}
	__set_current_state(TASK_RUNNING);
	mmap_write_unlock(current->mm);
	return -EINTR;
}

module_init(hold_init);
MODULE_DESCRIPTION("Test module of pmemswap: holds an mmap_lock");
MODULE_AUTHOR("pmemswap contributors");
MODULE_LICENSE("GPL");
