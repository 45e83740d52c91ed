// SPDX-License-Identifier: GPL-2.0-only
/*
 * pmemswap: swap on persistent memory. Parameters, set-up and tear-down.
 */
#define pr_fmt(fmt) "pmemswap: " fmt

#include <linux/ctype.h>
#include <linux/kernel.h>
#include <linux/module.h>
#include <linux/sizes.h>
#include <linux/string.h>

#include "compress.h"
#include "pmemswap.h"

#define SIZE_MIN	SZ_64K

/* What param_set_charp() takes; it answers ENOSPC where everybody else says EINVAL. */
#define PARAM_MAX	1024

static char *size;

/*
 * One item of "size": bytes with a suffix, or nothing. Moves @p behind it.
 * Returns -EINVAL for anything else.
 */
static int parse_size(const char **p, u64 *bytes)
{
	static const char units[] = "KMGT";
	size_t digits = strspn(*p, "0123456789");
	const char *end = *p;

	/* Not memparse(): it wraps around without a word, and 010 is 8 to it. */
	*bytes = 0;
	if (digits > 19)
		return -EINVAL;
	if (digits) {
		const char *unit;

		for (; isdigit(*end); end++)
			*bytes = *bytes * 10 + *end - '0';
		unit = *end ? strchr(units, toupper(*end)) : NULL;
		if (unit) {
			unsigned int shift = 10 * (unit - units + 1);

			if (*bytes >> (64 - shift))
				return -EINVAL;
			*bytes <<= shift;
			end++;
		}
		if (*bytes < SIZE_MIN || !IS_ALIGNED(*bytes, PAGE_SIZE))
			return -EINVAL;
	}
	if (*end == '\n' && !end[1])
		end++;
	if (*end && *end != ',')
		return -EINVAL;
	*p = end;
	return 0;
}

static int size_set(const char *val, const struct kernel_param *kp)
{
	bool too_long = strlen(val) > PARAM_MAX;
	const char *p = val;
	u64 bytes;

	for (;;) {
		if (too_long || parse_size(&p, &bytes)) {
			pr_err("size=%.200s: not accepted: expected sizes separated by commas, each at least 64K, a multiple of 4096 and with K, M, G or T if need be\n",
			       val);
			return -EINVAL;
		}
		if (!*p)
			break;
		p++;
	}
	return param_set_charp(val, kp);
}

static const struct kernel_param_ops size_ops = {
	.set = size_set,
	.get = param_get_charp,
	.free = param_free_charp,
};
module_param_cb(size, &size_ops, &size, 0444);
MODULE_PARM_DESC(size,
		 "Size of pmemswap0[,pmemswap1...] in bytes, with K, M, G or T (default: that of the pool)");

/**
 * ps_param_size() - the size that the operator wants for a device
 * @id: N of pmemswapN
 *
 * Return: bytes, or 0 for the default.
 */
unsigned long ps_param_size(int id)
{
	const char *p = size;
	u64 bytes = 0;

	while (p) {
		/* It was accepted when the module was loaded. */
		if (parse_size(&p, &bytes))
			return 0;
		if (!id--)
			return bytes;
		if (!*p)
			break;
		p++;
	}
	return 0;
}

/* Nobody may use the device, and from here on nobody can begin to. */
static int ps_quiesce(struct pmem_tier *tier)
{
	struct pmemswap *ps = tier->priv[PMEM_TIER_SWAP];
	int err = 0;

	mutex_lock(&ps->disk->open_mutex);
	if (ps_in_use(ps))
		err = -EBUSY;
	else
		ps->closing = true;
	mutex_unlock(&ps->disk->open_mutex);
	if (!err && ps_drain(ps))
		ps_report_holders(ps);
	return err;
}

static void ps_resume(struct pmem_tier *tier)
{
	struct pmemswap *ps = tier->priv[PMEM_TIER_SWAP];

	mutex_lock(&ps->disk->open_mutex);
	ps->closing = false;
	mutex_unlock(&ps->disk->open_mutex);
}

static struct pmem_tier_client client = {
	.name = "pmemswap",
	.user = PMEM_TIER_SWAP,
	.owner = THIS_MODULE,
	.add = ps_device_add,
	.quiesce = ps_quiesce,
	.resume = ps_resume,
	.remove = ps_device_remove,
	.page_free = ps_page_free,
	.long_pin = ps_long_pin,
	.poisoned = ps_poisoned,
};

static int __init pmemswap_init(void)
{
	int err = ps_bounce_init();

	if (err)
		return err;
	err = ps_take_back_init();
	if (err)
		goto out_bounce;
	err = ps_upkeep_init();
	if (err)
		goto out_take_back;
	ps_map_in_init();
	ps_full_init();
	ps_state_init();
	/* Before there is a device. */
	err = ps_hibernate_init();
	if (err)
		goto out_map_in;
	/* The last step: from here on somebody may have a device open. */
	err = pmem_tier_register_client(&client);
	if (err)
		goto out_hibernate;
	return 0;

out_hibernate:
	ps_hibernate_exit();
out_map_in:
	ps_state_exit();
	ps_full_exit();
	ps_unpack_exit();
	ps_map_in_exit();
	ps_upkeep_exit();
out_take_back:
	ps_take_back_exit();
out_bounce:
	ps_bounce_exit();
	return err;
}

static void __exit pmemswap_exit(void)
{
	/* Devices first: their files in sysfs can install the hooks. */
	pmem_tier_unregister_client(&client);
	ps_devices_gone();
	ps_hibernate_exit();
	ps_state_exit();
	ps_full_exit();
	ps_unpack_exit();
	ps_map_in_exit();
	ps_upkeep_exit();
	ps_take_back_exit();
	ps_bounce_exit();
}

module_init(pmemswap_init);
module_exit(pmemswap_exit);

MODULE_DESCRIPTION("Swap block device on persistent memory claimed by pmem_tier");
MODULE_AUTHOR("pmemswap contributors");
MODULE_LICENSE("GPL");
MODULE_VERSION("0.1.0");
