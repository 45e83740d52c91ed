// SPDX-License-Identifier: GPL-2.0-only
/*
 * pmem_tier: memory behind DRAM. Set-up and tear-down, in order.
 */
#define pr_fmt(fmt) "pmem_tier: " fmt

#include <linux/module.h>
#include <linux/nd.h>

#include "core.h"

static int __init pmem_tier_init(void)
{
	int err = tier_sysfs_init();

	if (err)
		return err;
	tier_media_init();
	tier_cached_init();
	err = tier_hibernate_init();
	if (err)
		goto out_sysfs;
	err = tier_claim_init();
	if (!err)
		return 0;
	tier_badblocks_exit();
	tier_hibernate_exit();
out_sysfs:
	tier_media_exit();
	tier_sysfs_exit();
	return err;
}

static void __exit pmem_tier_exit(void)
{
	tier_claim_exit();
	tier_badblocks_exit();
	tier_hibernate_exit();
	tier_hwpoison_exit();
	tier_long_pin_exit();
	tier_media_exit();
	tier_sysfs_exit();
}

module_init(pmem_tier_init);
module_exit(pmem_tier_exit);

MODULE_DESCRIPTION("Claims persistent memory namespaces and lends their pages to frontends");
MODULE_AUTHOR("pmemswap contributors");
MODULE_LICENSE("GPL");
MODULE_VERSION("0.1.0");
MODULE_ALIAS_ND_DEVICE(ND_DEVICE_NAMESPACE_IO);
MODULE_ALIAS_ND_DEVICE(ND_DEVICE_NAMESPACE_PMEM);
