// SPDX-License-Identifier: GPL-2.0-only
/*
 * /sys/kernel/pmem_cachex: what the operator sees and sets.
 */
#define pr_fmt(fmt) "pmem_cachex: " fmt

#include <linux/kobject.h>
#include <linux/sysfs.h>

#include "cachex.h"

/* 4 GiB a second: as pmemswap has it. */
#define PROMOTE_MAX	1048576

static struct kobject *root;

static ssize_t enabled_show(struct kobject *kobj, struct kobj_attribute *attr,
			    char *buf)
{
	return sysfs_emit(buf, "%d\n", cx_enabled());
}

static ssize_t enabled_store(struct kobject *kobj, struct kobj_attribute *attr,
			     const char *buf, size_t count)
{
	bool on = sysfs_streq(buf, "1");
	int err;

	/* kstrtobool() looks at the first letter only. */
	if (!on && !sysfs_streq(buf, "0")) {
		pr_err("enabled: \"%.*s\" not accepted: expected 0 or 1\n",
		       pmem_tier_shown(buf), buf);
		return -EINVAL;
	}
	err = on ? cx_enable() : cx_disable();
	return err ?: count;
}

static ssize_t targets_show(struct kobject *kobj, struct kobj_attribute *attr,
			    char *buf)
{
	return cx_targets_show(buf);
}

static ssize_t targets_store(struct kobject *kobj, struct kobj_attribute *attr,
			     const char *buf, size_t count)
{
	return cx_targets_set(buf) ?: count;
}

static const char * const admission_names[] = {
	[CX_ADMIT_OFF] = "off",
	[CX_ADMIT_REUSE] = "reuse",
	[CX_ADMIT_ALL] = "all",
};

static ssize_t admission_show(struct kobject *kobj, struct kobj_attribute *attr,
			      char *buf)
{
	return sysfs_emit(buf, "%s\n", admission_names[READ_ONCE(cx_admission)]);
}

static ssize_t admission_store(struct kobject *kobj,
			       struct kobj_attribute *attr, const char *buf,
			       size_t count)
{
	int value = sysfs_match_string(admission_names, buf);

	if (value < 0) {
		pr_err("admission: \"%.*s\" not accepted: expected off, reuse or all\n",
		       pmem_tier_shown(buf), buf);
		return -EINVAL;
	}
	return cx_admit(value) ?: count;
}

/* A file that takes a number up to a limit. */
static ssize_t store_number(struct kobj_attribute *attr, const char *buf,
			    size_t count, unsigned int *number, unsigned int max)
{
	unsigned int value;

	if (kstrtouint(buf, 10, &value) || value > max) {
		pr_err("%s: \"%.*s\" not accepted: expected 0 to %u\n",
		       attr->attr.name, pmem_tier_shown(buf), buf, max);
		return -EINVAL;
	}
	WRITE_ONCE(*number, value);
	return count;
}

static ssize_t admit_free_percent_show(struct kobject *kobj,
				       struct kobj_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%u\n", READ_ONCE(cx_admit_free_percent));
}

static ssize_t admit_free_percent_store(struct kobject *kobj,
					struct kobj_attribute *attr,
					const char *buf, size_t count)
{
	return store_number(attr, buf, count, &cx_admit_free_percent, 100);
}

static ssize_t max_pages_show(struct kobject *kobj, struct kobj_attribute *attr,
			      char *buf)
{
	return sysfs_emit(buf, "%lu\n", READ_ONCE(cx_max_pages));
}

static ssize_t max_pages_store(struct kobject *kobj,
			       struct kobj_attribute *attr, const char *buf,
			       size_t count)
{
	unsigned long pages;

	if (kstrtoul(buf, 10, &pages)) {
		pr_err("max_pages: \"%.*s\" not accepted: expected a number, 0 for no limit\n",
		       pmem_tier_shown(buf), buf);
		return -EINVAL;
	}
	WRITE_ONCE(cx_max_pages, pages);
	return count;
}

static ssize_t promote_pages_per_second_show(struct kobject *kobj,
					     struct kobj_attribute *attr,
					     char *buf)
{
	return sysfs_emit(buf, "%u\n",
			  READ_ONCE(cx_promote_pages_per_second));
}

static ssize_t promote_pages_per_second_store(struct kobject *kobj,
					      struct kobj_attribute *attr,
					      const char *buf, size_t count)
{
	return store_number(attr, buf, count, &cx_promote_pages_per_second,
			    PROMOTE_MAX);
}

static ssize_t drop_store(struct kobject *kobj, struct kobj_attribute *attr,
			  const char *buf, size_t count)
{
	if (!sysfs_streq(buf, "1")) {
		pr_err("drop: \"%.*s\" not accepted: expected 1\n",
		       pmem_tier_shown(buf), buf);
		return -EINVAL;
	}
	return cx_drop_all() ?: count;
}

static struct kobj_attribute enabled_attr = __ATTR_RW(enabled);
static struct kobj_attribute targets_attr = __ATTR_RW(targets);
static struct kobj_attribute admission_attr = __ATTR_RW(admission);
static struct kobj_attribute admit_free_percent_attr =
	__ATTR_RW(admit_free_percent);
static struct kobj_attribute max_pages_attr = __ATTR_RW(max_pages);
static struct kobj_attribute drop_attr = __ATTR_WO(drop);
static struct kobj_attribute promote_pages_per_second_attr =
	__ATTR_RW(promote_pages_per_second);

static struct attribute *cx_attrs[] = {
	&enabled_attr.attr,
	&targets_attr.attr,
	&admission_attr.attr,
	&admit_free_percent_attr.attr,
	&max_pages_attr.attr,
	&promote_pages_per_second_attr.attr,
	&drop_attr.attr,
	NULL,
};

static const struct attribute_group cx_group = { .attrs = cx_attrs };

/**
 * cx_sysfs_init() - make /sys/kernel/pmem_cachex
 *
 * Context: process context, may sleep.
 * Return: 0 or a negative error.
 */
int cx_sysfs_init(void)
{
	int err;

	root = kobject_create_and_add("pmem_cachex", kernel_kobj);
	if (!root)
		return -ENOMEM;
	err = cx_stats_init(root);
	if (err)
		goto out_root;
	err = sysfs_create_group(root, &cx_group);
	if (!err)
		return 0;
	cx_stats_hide(root);
	cx_stats_exit();
out_root:
	kobject_put(root);
	return err;
}

/**
 * cx_sysfs_exit() - remove /sys/kernel/pmem_cachex
 *
 * Nobody reads or writes its files on return.
 *
 * Context: process context, may sleep.
 */
void cx_sysfs_exit(void)
{
	sysfs_remove_group(root, &cx_group);
	cx_stats_hide(root);
	kobject_put(root);
}
