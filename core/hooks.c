// SPDX-License-Identifier: GPL-2.0-only
/*
 * Hooks on kernel functions: install, count who is inside, remove.
 */
#include <linux/delay.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/rcupdate.h>
#include <linux/string.h>
#include <pmem_tier/hooks.h>

/*
 * "sysctl kernel.ftrace_enabled=0" would take away, without a word, what data depends on; and
 * what is hooked while it is 0 would come alive some day, over slots that nobody looked after
 * until then. While something permanent is registered with ftrace the sysctl is refused, and
 * when it is 0 nothing permanent can be registered. register_ftrace_direct() doesn't let a hook
 * be permanent from the start. So there is something that is, from before the first hook until
 * after the last, on a function that nobody calls. held_lock protects nr_held; a leaf.
 */
static DEFINE_MUTEX(held_lock);
static struct ftrace_ops held_ops;
static unsigned int nr_held;

static noinline void called_by_nobody(void)
{
	barrier();
}

static void not_called(unsigned long ip, unsigned long parent_ip,
		       struct ftrace_ops *ops, struct ftrace_regs *fregs)
{
}

static int register_held(void)
{
	int err;

	/* ftrace leaves pointers to the filter that it freed when it was unregistered. */
	memset(&held_ops, 0, sizeof(held_ops));
	held_ops.func = not_called;
	held_ops.flags = FTRACE_OPS_FL_PERMANENT;
	err = ftrace_set_filter_ip(&held_ops, (unsigned long)called_by_nobody,
				   0, 1);
	if (!err)
		err = register_ftrace_function(&held_ops);
	if (err)
		ftrace_free_filter(&held_ops);
	return err;
}

/* ftrace is on, and stays so: or -EBUSY. */
static int hold_ftrace(void)
{
	int err = 0;

	mutex_lock(&held_lock);
	if (!nr_held)
		err = register_held();
	if (!err)
		nr_held++;
	mutex_unlock(&held_lock);
	return err;
}

static void let_go_of_ftrace(void)
{
	mutex_lock(&held_lock);
	if (!--nr_held) {
		unregister_ftrace_function(&held_ops);
		ftrace_free_filter(&held_ops);
	}
	mutex_unlock(&held_lock);
}

static int install(struct pmem_tier_hook *hook, void *function)
{
	int err;

	/* As in register_held(). */
	memset(&hook->ops, 0, sizeof(hook->ops));
	/* By address: it is the one that was looked at, and no module's. */
	err = ftrace_set_filter_ip(&hook->ops, (unsigned long)function, 0, 1);
	if (!err)
		err = register_ftrace_direct(&hook->ops,
					     (unsigned long)hook->trampoline);
	if (err)
		ftrace_free_filter(&hook->ops);
	return err;
}

/**
 * pmem_tier_hook_install() - put a hook in place
 * @hook: the hook, prototype and trampoline set
 * @feature: what it is for: off when this fails
 *
 * Context: process context, may sleep.
 * Return: 0 or a negative error: -ENOENT when the kernel has no such function, see
 * pmem_tier_symbol(), -EINVAL when ftrace can't reach it, -EBUSY when something
 * else hooked it (a livepatch) or ftrace is switched off.
 */
int pmem_tier_hook_install(struct pmem_tier_hook *hook,
			   struct pmem_tier_feature *feature)
{
	void *function = pmem_tier_symbol(feature, hook->prototype);
	const char *why = "";
	int err = -ENOMEM;

	if (!function)
		return -ENOENT;
	hook->inside = alloc_percpu(long);
	if (!hook->inside)
		goto out;
	err = hold_ftrace();
	if (err) {
		if (err == -EBUSY)
			why = "kernel.ftrace_enabled is 0: ";
		goto out_inside;
	}
	err = install(hook, function);
	if (err)
		goto out_held;
	hook->installed = true;
	return 0;

out_held:
	let_go_of_ftrace();
out_inside:
	free_percpu(hook->inside);
out:
	pmem_tier_feature_off(feature, "can't hook \"%s\": %serror %d",
			      hook->prototype, why, err);
	return err;
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
	let_go_of_ftrace();
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
