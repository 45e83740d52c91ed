// SPDX-License-Identifier: GPL-2.0-only
/*
 * Hooks on kernel functions: install, count who is inside, remove.
 */
#define pr_fmt(fmt) "pmem_tier: " fmt

#include <linux/delay.h>
#include <linux/kallsyms.h>
#include <linux/kprobes.h>
#include <linux/module.h>
#include <linux/rcupdate.h>
#include <linux/static_call.h>
#include <linux/string.h>
#include <asm/ibt.h>
#include <asm/nops.h>
#include <pmem_tier/hooks.h>

/*
 * A sealed function has no ENDBR: an indirect call of it traps on hardware with
 * IBT. Static calls are direct calls.
 */
DEFINE_STATIC_CALL_NULL(kallsyms_lookup, kallsyms_lookup_name);

/* Address of kallsyms_lookup_name(): kprobes still find unexported names. */
static unsigned long find_kallsyms(void)
{
	struct kprobe kp = { .symbol_name = "kallsyms_lookup_name" };
	char sym[KSYM_SYMBOL_LEN];
	unsigned long addr, offset;
	char *plus;

	if (register_kprobe(&kp))
		return 0;
	addr = (unsigned long)kp.addr;
	unregister_kprobe(&kp);

	/* The probe may sit behind an ENDBR: go back to the first byte. */
	sprint_symbol(sym, addr);
	plus = strchr(sym, '+');
	if (!plus || sscanf(plus, "+0x%lx/", &offset) != 1)
		return 0;
	return addr - offset;
}

static unsigned long find_symbol(const char *name)
{
	static bool tried;

	if (!tried) {
		unsigned long addr = find_kallsyms();

		tried = true;
		if (addr)
			static_call_update(kallsyms_lookup, (void *)addr);
	}
	if (!static_call_query(kallsyms_lookup))
		return 0;
	return static_call(kallsyms_lookup)(name);
}

/**
 * pmem_tier_symbol() - address of an unexported function of the kernel
 * @feature: what it is for: off when there is no such function
 * @name: its name
 *
 * Context: process context, may sleep.
 * Return: the address, for static_call_update(), or NULL.
 */
void *pmem_tier_symbol(struct pmem_tier_feature *feature, const char *name)
{
	unsigned long addr = find_symbol(name);

	if (!addr)
		pmem_tier_feature_off(feature, "the kernel has no", name, 0);
	return (void *)addr;
}
EXPORT_SYMBOL_GPL(pmem_tier_symbol);

/**
 * pmem_tier_hook_install() - put a hook in place
 * @hook: the hook, function and trampoline set
 * @feature: what it is for: off when this fails
 *
 * Context: process context, may sleep.
 * Return: 0 or a negative error: -ENOENT when the kernel has no such function or
 * ftrace can't reach it, -EBUSY when something else hooked it (a livepatch).
 */
int pmem_tier_hook_install(struct pmem_tier_hook *hook,
			   struct pmem_tier_feature *feature)
{
	int err;

	hook->inside = alloc_percpu(long);
	if (!hook->inside)
		return -ENOMEM;
	err = ftrace_set_filter(&hook->ops, (unsigned char *)hook->function,
				strlen(hook->function), 1);
	if (!err)
		err = register_ftrace_direct(&hook->ops,
					     (unsigned long)hook->trampoline);
	if (err) {
		ftrace_free_filter(&hook->ops);
		memset(&hook->ops, 0, sizeof(hook->ops));
		free_percpu(hook->inside);
		pmem_tier_feature_off(feature, "can't hook", hook->function,
				      err);
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

/**
 * pmem_tier_hook_body() - where a hooked function goes on behind the hook
 * @hook: the hook, function set
 * @feature: what it is for: off when this fails
 *
 * A handler that calls the hooked function there doesn't come back to itself.
 *
 * Context: process context, may sleep.
 * Return: the address, for static_call_update(), or NULL.
 */
void *pmem_tier_hook_body(struct pmem_tier_hook *hook,
			  struct pmem_tier_feature *feature)
{
	static const u8 nop[MCOUNT_INSN_SIZE] = { BYTES_NOP5 };
	u8 *code = pmem_tier_symbol(feature, hook->function);

	if (!code)
		return NULL;
	if (IS_ENABLED(CONFIG_X86_KERNEL_IBT) && is_endbr(*(u32 *)code))
		code += ENDBR_INSN_SIZE;
	/* Of ftrace: a no-op of 5 bytes, or a call once something is attached. */
	if (*code != 0xe8 && memcmp(code, nop, sizeof(nop))) {
		pmem_tier_feature_off(feature, "can't enter", hook->function,
				      0);
		return NULL;
	}
	return code + MCOUNT_INSN_SIZE;
}
EXPORT_SYMBOL_GPL(pmem_tier_hook_body);

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
	/* Its pointers to the filter are those of one that has been freed. */
	memset(&hook->ops, 0, sizeof(hook->ops));
	free_percpu(hook->inside);
	hook->installed = false;
}
EXPORT_SYMBOL_GPL(pmem_tier_hook_remove);
