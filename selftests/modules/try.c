// SPDX-License-Identifier: GPL-2.0-only
/*
 * For tests: asks pmem_tier for one symbol or hook; "features" in sysfs says what came of it.
 */

#include <linux/module.h>
#include <pmem_tier/hooks.h>

#include "try.h"

static char *prototype = "";
module_param(prototype, charp, 0444);
MODULE_PARM_DESC(prototype, "What to look for, as core/prototype.c has prototypes");

static bool hook;
module_param(hook, bool, 0444);
MODULE_PARM_DESC(hook, "Hook it as well, with a handler that does nothing");

static unsigned int again;
module_param(again, uint, 0444);
MODULE_PARM_DESC(again, "How often to remove the hook and install it again");

static struct pmem_tier_feature feature = { .name = "try" };
static struct pmem_tier_hook try_hook = { .trampoline = try_tramp };

/**
 * try_handler() - before the function that is hooked, always followed by it
 *
 * Context: as that function.
 * Return: PMEM_TIER_HOOK_PASS.
 */
asmlinkage unsigned int try_handler(void)
{
	pmem_tier_hook_enter(&try_hook);
	pmem_tier_hook_exit(&try_hook);
	return PMEM_TIER_HOOK_PASS;
}

static bool install(void)
{
	bool found = !pmem_tier_hook_install(&try_hook, &feature);
	unsigned int i;

	for (i = 0; found && i < again; i++) {
		pmem_tier_hook_remove(&try_hook);
		found = !pmem_tier_hook_install(&try_hook, &feature);
	}
	return found;
}

static int __init try_init(void)
{
	bool found;

	pmem_tier_feature_add(&feature);
	if (hook) {
		try_hook.prototype = prototype;
		found = install();
	} else {
		found = pmem_tier_symbol(&feature, prototype);
	}
	if (found)
		pmem_tier_feature_on(&feature);
	return 0;
}

static void __exit try_exit(void)
{
	pmem_tier_hook_remove(&try_hook);
	pmem_tier_feature_del(&feature);
}

module_init(try_init);
module_exit(try_exit);
MODULE_DESCRIPTION("Test module of pmem_tier: one symbol or hook");
MODULE_AUTHOR("pmemswap contributors");
MODULE_LICENSE("GPL");
