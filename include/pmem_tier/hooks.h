/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Replacing or observing kernel functions, through ftrace's direct calls.
 */
#ifndef _PMEM_TIER_HOOKS_H
#define _PMEM_TIER_HOOKS_H

#include <linux/ftrace.h>
#include <linux/percpu.h>
#include <linux/types.h>

/* The sign bit in what a handler returns, see trampoline.S: let the hooked function run. */
#define PMEM_TIER_HOOK_PASS	0x80000000

/* Longer ones than this aren't shown in full, and never are the right ones. */
#define PMEM_TIER_PROTOTYPE_LEN	256

/**
 * struct pmem_tier_hook_arg - what the handler of a PMEM_TIER_TRAMPOLINE_ARG2 returns
 * @arg: the hooked function's second argument
 * @skip: don't run the hooked function at all
 */
struct pmem_tier_hook_arg {
	void *arg;
	unsigned long skip;
};

/**
 * struct pmem_tier_feature - something that works only on a kernel that has what it takes
 * @name: in the log and in the file "features"
 * @state: "idle", "on", or "off: " and why; core's
 * @unchecked: what of the kernel's is taken for what the headers say; core's
 * @ready: it has been on; set once, see pmem_tier_feature_ready()
 * @node: on core's list
 */
struct pmem_tier_feature {
	const char *name;
	char state[2 * PMEM_TIER_PROTOTYPE_LEN + 64];
	char unchecked[96];
	bool ready;
	struct list_head node;
};

void pmem_tier_feature_add(struct pmem_tier_feature *feature);
void pmem_tier_feature_del(struct pmem_tier_feature *feature);
void pmem_tier_feature_on(struct pmem_tier_feature *feature);
__printf(2, 3)
void pmem_tier_feature_off(struct pmem_tier_feature *feature, const char *fmt,
			   ...);

/**
 * pmem_tier_feature_ready() - may what a feature takes be used?
 * @feature: the feature
 *
 * All that was done before pmem_tier_feature_on() is seen. To ask a static call isn't enough:
 * one that isn't NULL may not be patched everywhere yet.
 *
 * Context: any.
 * Return: true once it has been on.
 */
static inline bool pmem_tier_feature_ready(struct pmem_tier_feature *feature)
{
	/* Pairs with pmem_tier_feature_on(). */
	return smp_load_acquire(&feature->ready);
}

/**
 * struct pmem_tier_hook - one hooked function
 * @prototype: name and type of the function, as for pmem_tier_symbol()
 * @trampoline: code made by PMEM_TIER_TRAMPOLINE
 * @ops: ftrace's
 * @inside: per CPU, entries to less exits from the handler
 * @installed: it is in place
 */
struct pmem_tier_hook {
	const char *prototype;
	void (*trampoline)(void);
	struct ftrace_ops ops;
	long __percpu *inside;
	bool installed;
};

/* First and last thing that a handler does: unloading waits for the difference. */
static inline void pmem_tier_hook_enter(struct pmem_tier_hook *hook)
{
	this_cpu_inc(*hook->inside);
}

static inline void pmem_tier_hook_exit(struct pmem_tier_hook *hook)
{
	this_cpu_dec(*hook->inside);
}

int pmem_tier_hook_install(struct pmem_tier_hook *hook,
			   struct pmem_tier_feature *feature);
void pmem_tier_hook_remove(struct pmem_tier_hook *hook);
void *pmem_tier_symbol(struct pmem_tier_feature *feature,
		       const char *prototype);

#endif /* _PMEM_TIER_HOOKS_H */
