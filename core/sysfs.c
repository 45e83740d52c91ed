// SPDX-License-Identifier: GPL-2.0-only
/*
 * /sys/kernel/pmem_tier: what the operator sees of each tier.
 */
#define pr_fmt(fmt) "pmem_tier: " fmt

#include <linux/kobject.h>
#include <linux/slab.h>
#include <linux/sysfs.h>

#include "core.h"

static struct kobject *tier_root;

static struct tier_ns *kobj_to_ns(struct kobject *kobj)
{
	return container_of(kobj, struct tier_ns, kobj);
}

static ssize_t total_pages_show(struct kobject *kobj,
				struct kobj_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%lu\n", kobj_to_ns(kobj)->tier.nr_pages);
}

static ssize_t free_pages_show(struct kobject *kobj,
			       struct kobj_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%lu\n",
			  freemap_nr_free(&kobj_to_ns(kobj)->free));
}

static ssize_t swap_pages_show(struct kobject *kobj,
			       struct kobj_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%lu\n",
			  tier_pool_used(kobj_to_ns(kobj), PMEM_TIER_SWAP));
}

static ssize_t cache_pages_show(struct kobject *kobj,
				struct kobj_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%lu\n",
			  tier_pool_used(kobj_to_ns(kobj), PMEM_TIER_CACHE));
}

static ssize_t lent_pages_show(struct kobject *kobj,
			       struct kobj_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%lu\n", tier_pool_lent(kobj_to_ns(kobj)));
}

static ssize_t bad_pages_show(struct kobject *kobj,
			      struct kobj_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%ld\n",
			  atomic_long_read(&kobj_to_ns(kobj)->free.nr_retired));
}

static ssize_t reserve_pages_show(struct kobject *kobj,
				  struct kobj_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%lu\n",
			  READ_ONCE(kobj_to_ns(kobj)->reserve_pages));
}

static ssize_t reserve_pages_store(struct kobject *kobj,
				   struct kobj_attribute *attr,
				   const char *buf, size_t count)
{
	struct tier_ns *ns = kobj_to_ns(kobj);
	unsigned long pages;

	if (kstrtoul(buf, 10, &pages) || pages > ns->tier.nr_pages) {
		pr_err("%s: reserve_pages: \"%.*s\" not accepted: expected 0 to %lu\n",
		       ns->tier.name, pmem_tier_shown(buf), buf,
		       ns->tier.nr_pages);
		return -EINVAL;
	}
	WRITE_ONCE(ns->reserve_pages, pages);
	return count;
}

static ssize_t metadata_bytes_show(struct kobject *kobj,
				   struct kobj_attribute *attr, char *buf)
{
	struct tier_ns *ns = kobj_to_ns(kobj);

	return sysfs_emit(buf, "%lu\n", ns->memmap_bytes +
			  freemap_bytes(&ns->free) +
			  PAGE_ALIGN(BITS_TO_LONGS(ns->tier.nr_pages) *
				     sizeof(long)) +
			  tier_wipe_bytes(ns) +
			  atomic_long_read(&ns->metadata_bytes));
}

static ssize_t memmap_show(struct kobject *kobj, struct kobj_attribute *attr,
			   char *buf)
{
	return sysfs_emit(buf, "%s\n",
			  tier_memmap_name(kobj_to_ns(kobj)->memmap));
}

static ssize_t uuid_show(struct kobject *kobj, struct kobj_attribute *attr,
			 char *buf)
{
	return sysfs_emit(buf, "%pUb\n", &kobj_to_ns(kobj)->tier.uuid);
}

static struct kobj_attribute total_pages_attr = __ATTR_RO(total_pages);
static struct kobj_attribute free_pages_attr = __ATTR_RO(free_pages);
static struct kobj_attribute swap_pages_attr = __ATTR_RO(swap_pages);
static struct kobj_attribute cache_pages_attr = __ATTR_RO(cache_pages);
static struct kobj_attribute lent_pages_attr = __ATTR_RO(lent_pages);
static struct kobj_attribute bad_pages_attr = __ATTR_RO(bad_pages);
static struct kobj_attribute reserve_pages_attr = __ATTR_RW(reserve_pages);
static struct kobj_attribute metadata_bytes_attr = __ATTR_RO(metadata_bytes);
static struct kobj_attribute memmap_attr = __ATTR_RO(memmap);
static struct kobj_attribute uuid_attr = __ATTR_RO(uuid);

static struct attribute *tier_ns_attrs[] = {
	&total_pages_attr.attr,
	&free_pages_attr.attr,
	&swap_pages_attr.attr,
	&cache_pages_attr.attr,
	&lent_pages_attr.attr,
	&bad_pages_attr.attr,
	&reserve_pages_attr.attr,
	&metadata_bytes_attr.attr,
	&memmap_attr.attr,
	&uuid_attr.attr,
	NULL,
};
ATTRIBUTE_GROUPS(tier_ns);

static void tier_ns_release(struct kobject *kobj)
{
	kfree(kobj_to_ns(kobj));
}

static const struct kobj_type tier_ns_ktype = {
	.release = tier_ns_release,
	.sysfs_ops = &kobj_sysfs_ops,
	.default_groups = tier_ns_groups,
};

/**
 * tier_ns_init_kobj() - begin the life of a struct tier_ns
 * @ns: zeroed memory from kzalloc(); kobject_put() frees it from here on
 *
 * Context: any.
 */
void tier_ns_init_kobj(struct tier_ns *ns)
{
	kobject_init(&ns->kobj, &tier_ns_ktype);
}

/**
 * tier_sysfs_add() - show a tier in sysfs
 * @ns: the tier, all of its values valid
 *
 * Context: process context, may sleep.
 * Return: 0 or a negative error.
 */
int tier_sysfs_add(struct tier_ns *ns)
{
	return kobject_add(&ns->kobj, tier_root, "%s", ns->tier.name);
}

/**
 * tier_sysfs_del() - take a tier out of sysfs
 * @ns: the tier
 *
 * No reader or writer of its files is left on return.
 *
 * Context: process context, may sleep.
 */
void tier_sysfs_del(struct tier_ns *ns)
{
	kobject_del(&ns->kobj);
}

static ssize_t features_show(struct kobject *kobj, struct kobj_attribute *attr,
			     char *buf)
{
	return tier_features_emit(buf);
}

static struct kobj_attribute features_attr = __ATTR_RO(features);

/**
 * tier_sysfs_init() - make /sys/kernel/pmem_tier
 *
 * Context: process context, may sleep.
 * Return: 0 or -ENOMEM.
 */
int tier_sysfs_init(void)
{
	int err;

	tier_root = kobject_create_and_add("pmem_tier", kernel_kobj);
	if (!tier_root)
		return -ENOMEM;
	err = sysfs_create_file(tier_root, &features_attr.attr);
	if (err)
		kobject_put(tier_root);
	return err;
}

/**
 * tier_sysfs_exit() - remove /sys/kernel/pmem_tier
 *
 * Context: process context, may sleep.
 */
void tier_sysfs_exit(void)
{
	kobject_put(tier_root);
}
