// SPDX-License-Identifier: GPL-2.0-only
/*
 * Hooks on kernel functions: install, count who is inside, remove.
 */
#include <linux/delay.h>
#include <linux/module.h>
#include <linux/rcupdate.h>
#include <linux/string.h>
#include <pmem_tier/hooks.h>

/**
 * pmem_tier_hook_install() - put a hook in place
 * @hook: the hook, prototype and trampoline set
 * @feature: what it is for: off when this fails
 *
 * Context: process context, may sleep.
 * Return: 0 or a negative error: -ENOENT when the kernel has no such function, see
 * pmem_tier_symbol(), -EINVAL when ftrace can't reach it, -EBUSY when something
 * else hooked it (a livepatch).
 */
int pmem_tier_hook_install(struct pmem_tier_hook *hook,
			   struct pmem_tier_feature *feature)
{
	void *function = pmem_tier_symbol(feature, hook->prototype);
	int err;

	if (!function)
		return -ENOENT;
	hook->inside = alloc_percpu(long);
	if (!hook->inside)
		return -ENOMEM;
	/* ftrace leaves pointers to the filter that it freed when the hook was removed. */
	memset(&hook->ops, 0, sizeof(hook->ops));
	/* By address: it is the one that was looked at, and no module's. */
	err = ftrace_set_filter_ip(&hook->ops, (unsigned long)function, 0, 1);
	if (!err)
		err = register_ftrace_direct(&hook->ops,
					     (unsigned long)hook->trampoline);
	if (err) {
		ftrace_free_filter(&hook->ops);
		free_percpu(hook->inside);
		pmem_tier_feature_off(feature, "can't hook \"%s\": error %d",
				      hook->prototype, err);
		return err;
	}
	/*
	 * Or "sysctl kernel.ftrace_enabled=0" would take away, without a word, what data
	 * depends on. So it is refused. Only now: registering sets the flags.
	 */
	hook->ops.flags |= FTRACE_OPS_FL_PERMANENT;
	hook->installed = true;
	return 0;
}
EXPORT_SYMBOL_GPL(pmem_tier_hook_install);

static long inside(struct pmem_tier_hook *hook)
{
	long sum = 0;
	int cpu;

	for_each_possible_cpu(cpu)
		sum += READ_ONCE(*per_cpu_ptr(hook->inside, cpu));
	return sum;
}

/**
 * pmem_tier_hook_remove() - take a hook away
 * @hook: the hook; fine if it isn't installed
 *
 * No CPU is in the trampoline or handler on return, so the module may go.
 *
 * Context: process context, may sleep.
 */
void pmem_tier_hook_remove(struct pmem_tier_hook *hook)
{
	if (!hook->installed)
		return;
	unregister_ftrace_direct(&hook->ops, (unsigned long)hook->trampoline,
				 true);
	/*
	 * Who was about to enter the handler has, or is done: a task that was
	 * preempted anywhere in the trampoline hasn't yet slept by itself. A
	 * handler may sleep, but is counted. Then who just left the handler.
	 */
	synchronize_rcu_tasks();
	while (inside(hook))
		msleep(20);
	synchronize_rcu_tasks();
	free_percpu(hook->inside);
	hook->installed = false;
}
EXPORT_SYMBOL_GPL(pmem_tier_hook_remove);
