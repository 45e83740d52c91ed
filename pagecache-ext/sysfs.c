// SPDX-License-Identifier: GPL-2.0-only
/*
 * /sys/kernel/pmem_cachex: what the operator sees and sets.
 */
#define pr_fmt(fmt) "pmem_cachex: " fmt

#include <linux/kobject.h>
#include <linux/sysfs.h>

#include "cachex.h"

static struct kobject *root;

static s64 sum_of(enum cx_stat stat)
{
	s64 sum = 0;
	int cpu;

	for_each_possible_cpu(cpu)
		sum += READ_ONCE(per_cpu_ptr(cx_stats, cpu)->count[stat]);
	return sum;
}

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
	WRITE_ONCE(cx_admission, value);
	return count;
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

static ssize_t stored_pages_show(struct kobject *kobj,
				 struct kobj_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%lu\n", cx_stored_pages());
}

static ssize_t hits_show(struct kobject *kobj, struct kobj_attribute *attr,
			 char *buf)
{
	struct cx_tiers *tiers;
	unsigned int i;
	s64 sum = 0;

	rcu_read_lock();
	tiers = rcu_dereference(cx_tiers);
	for (i = 0; tiers && i < tiers->nr; i++)
		sum += pmem_tier_cached_hits(tiers->tier[i]->tier);
	rcu_read_unlock();
	return sysfs_emit(buf, "%lld\n", sum);
}

#define CX_STAT_ATTR(_name, _stat)					\
static ssize_t _name##_show(struct kobject *kobj,			\
			    struct kobj_attribute *attr, char *buf)	\
{									\
	return sysfs_emit(buf, "%lld\n", sum_of(_stat));		\
}									\
static struct kobj_attribute _name##_attr = __ATTR_RO(_name)

CX_STAT_ATTR(puts, CX_PUTS);
CX_STAT_ATTR(reclaimed, CX_RECLAIMED);
CX_STAT_ATTR(given_back, CX_GIVEN_BACK);
CX_STAT_ATTR(small_dropped, CX_SMALL);
CX_STAT_ATTR(rejected_target, CX_REJECTS + CX_REJECT_TARGET);
CX_STAT_ATTR(rejected_encrypted, CX_REJECTS + CX_REJECT_ENCRYPTED);
CX_STAT_ATTR(rejected_dax, CX_REJECTS + CX_REJECT_DAX);
CX_STAT_ATTR(rejected_swapfile, CX_REJECTS + CX_REJECT_SWAPFILE);
CX_STAT_ATTR(rejected_kind, CX_REJECTS + CX_REJECT_KIND);
CX_STAT_ATTR(rejected_page, CX_REJECTS + CX_REJECT_PAGE);
CX_STAT_ATTR(rejected_admission, CX_REJECTS + CX_REJECT_ADMISSION);
CX_STAT_ATTR(rejected_limit, CX_REJECTS + CX_REJECT_LIMIT);
CX_STAT_ATTR(rejected_full, CX_REJECTS + CX_REJECT_FULL);
CX_STAT_ATTR(rejected_memory, CX_REJECTS + CX_REJECT_MEMORY);

static struct kobj_attribute enabled_attr = __ATTR_RW(enabled);
static struct kobj_attribute targets_attr = __ATTR_RW(targets);
static struct kobj_attribute admission_attr = __ATTR_RW(admission);
static struct kobj_attribute max_pages_attr = __ATTR_RW(max_pages);
static struct kobj_attribute drop_attr = __ATTR_WO(drop);
static struct kobj_attribute stored_pages_attr = __ATTR_RO(stored_pages);
static struct kobj_attribute hits_attr = __ATTR_RO(hits);

static struct attribute *cx_attrs[] = {
	&enabled_attr.attr,
	&targets_attr.attr,
	&admission_attr.attr,
	&max_pages_attr.attr,
	&drop_attr.attr,
	&stored_pages_attr.attr,
	&hits_attr.attr,
	&puts_attr.attr,
	&reclaimed_attr.attr,
	&given_back_attr.attr,
	&small_dropped_attr.attr,
	&rejected_target_attr.attr,
	&rejected_encrypted_attr.attr,
	&rejected_dax_attr.attr,
	&rejected_swapfile_attr.attr,
	&rejected_kind_attr.attr,
	&rejected_page_attr.attr,
	&rejected_admission_attr.attr,
	&rejected_limit_attr.attr,
	&rejected_full_attr.attr,
	&rejected_memory_attr.attr,
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
	err = sysfs_create_group(root, &cx_group);
	if (err)
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
	kobject_put(root);
}
