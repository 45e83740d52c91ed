// SPDX-License-Identifier: GPL-2.0-only
/*
 * Features that depend on what the running kernel has: found, or what is missing.
 */
#define pr_fmt(fmt) "pmem_tier: " fmt

#include <linux/list.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/string.h>
#include <linux/sysfs.h>
#include <pmem_tier/hooks.h>

#include "core.h"

/* features_lock protects features and each feature's state. A leaf. */
static DEFINE_MUTEX(features_lock);
static LIST_HEAD(features);

/**
 * pmem_tier_feature_add() - a frontend has a feature
 * @feature: name set; it begins as "idle": nobody has asked for it
 *
 * Context: process context, may sleep.
 */
void pmem_tier_feature_add(struct pmem_tier_feature *feature)
{
	mutex_lock(&features_lock);
	strscpy(feature->state, "idle");
	feature->unchecked[0] = '\0';
	list_add_tail(&feature->node, &features);
	mutex_unlock(&features_lock);
}
EXPORT_SYMBOL_GPL(pmem_tier_feature_add);

/**
 * pmem_tier_feature_del() - undo pmem_tier_feature_add()
 * @feature: the feature
 *
 * Context: process context, may sleep.
 */
void pmem_tier_feature_del(struct pmem_tier_feature *feature)
{
	mutex_lock(&features_lock);
	list_del(&feature->node);
	mutex_unlock(&features_lock);
}
EXPORT_SYMBOL_GPL(pmem_tier_feature_del);

/**
 * pmem_tier_feature_on() - all that a feature takes is there
 * @feature: the feature
 *
 * Context: process context, may sleep.
 */
void pmem_tier_feature_on(struct pmem_tier_feature *feature)
{
	mutex_lock(&features_lock);
	if (*feature->unchecked)
		snprintf(feature->state, sizeof(feature->state),
			 "on, types unchecked: %s", feature->unchecked);
	else
		strscpy(feature->state, "on");
	/* Pairs with pmem_tier_feature_ready(). */
	smp_store_release(&feature->ready, true);
	mutex_unlock(&features_lock);
}
EXPORT_SYMBOL_GPL(pmem_tier_feature_on);

/**
 * tier_feature_unchecked() - nobody knows the type of something that a feature takes
 * @feature: the feature
 * @name: what that is; another time makes no difference
 *
 * Context: process context, may sleep.
 */
void tier_feature_unchecked(struct pmem_tier_feature *feature, const char *name)
{
	mutex_lock(&features_lock);
	if (!strstr(feature->unchecked, name)) {
		if (*feature->unchecked)
			strlcat(feature->unchecked, ", ",
				sizeof(feature->unchecked));
		strlcat(feature->unchecked, name, sizeof(feature->unchecked));
	}
	mutex_unlock(&features_lock);
}

/**
 * pmem_tier_feature_off() - something that a feature takes is missing
 * @feature: the feature
 * @fmt: what, as for printk()
 *
 * Says so, once in the log and from then on in the file "features".
 *
 * Context: process context, may sleep.
 */
void pmem_tier_feature_off(struct pmem_tier_feature *feature, const char *fmt,
			   ...)
{
	struct va_format vaf = { .fmt = fmt };
	va_list args;

	va_start(args, fmt);
	vaf.va = &args;
	mutex_lock(&features_lock);
	snprintf(feature->state, sizeof(feature->state), "off: %pV", &vaf);
	pr_warn("%s is %s\n", feature->name, feature->state);
	mutex_unlock(&features_lock);
	va_end(args);
}
EXPORT_SYMBOL_GPL(pmem_tier_feature_off);

/**
 * tier_features_emit() - the content of the file "features"
 * @buf: a page
 *
 * Context: process context, may sleep.
 * Return: its length.
 */
ssize_t tier_features_emit(char *buf)
{
	struct pmem_tier_feature *feature;
	ssize_t len = 0;

	mutex_lock(&features_lock);
	list_for_each_entry(feature, &features, node)
		len += sysfs_emit_at(buf, len, "%s: %s\n", feature->name,
				     feature->state);
	mutex_unlock(&features_lock);
	return len;
}
