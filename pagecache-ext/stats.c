// SPDX-License-Identifier: GPL-2.0-only
/*
 * Counters: for all there is, and for each target in a directory of its own.
 */
#define pr_fmt(fmt) "pmem_cachex: " fmt

#include <linux/kobject.h>
#include <linux/mutex.h>
#include <linux/percpu.h>
#include <linux/string.h>
#include <linux/sysfs.h>

#include "cachex.h"

struct cx_stats __percpu *cx_stats;

/*
 * Directories of targets, by slot; slot 0 has none. They stay when the target goes, as do its
 * counters, until another needs the slot: that one begins with what was counted so far.
 * slots_lock protects writing to both.
 */
static DEFINE_MUTEX(slots_lock);
static struct kobject *slots[CX_SLOTS];
static s64 begin[CX_SLOTS][CX_NR_STATS];
static struct kobject *targets_dir;

static s64 slot_sum(unsigned int slot, enum cx_stat stat)
{
	s64 sum = 0;
	int cpu;

	for_each_possible_cpu(cpu)
		sum += READ_ONCE(per_cpu_ptr(cx_stats, cpu)->count[slot][stat]);
	return sum;
}

/* Of the target whose directory it is, else of all. */
static s64 sum_of(const struct kobject *dir, enum cx_stat stat)
{
	unsigned int slot;
	s64 sum = 0;

	for (slot = 0; slot < CX_SLOTS; slot++) {
		s64 one = slot_sum(slot, stat);

		if (slot && READ_ONCE(slots[slot]) == dir)
			return one - begin[slot][stat];
		sum += one;
	}
	return sum;
}

#define CX_STAT_ATTR(_name, _stat)					\
static ssize_t _name##_show(struct kobject *kobj,			\
			    struct kobj_attribute *attr, char *buf)	\
{									\
	return sysfs_emit(buf, "%lld\n", sum_of(kobj, _stat));		\
}									\
static struct kobj_attribute _name##_attr = __ATTR_RO(_name)

CX_STAT_ATTR(puts, CX_PUTS);
CX_STAT_ATTR(hits, CX_HITS);
CX_STAT_ATTR(reclaimed, CX_RECLAIMED);
CX_STAT_ATTR(given_back, CX_GIVEN_BACK);
CX_STAT_ATTR(small_dropped, CX_SMALL);
CX_STAT_ATTR(promoted, CX_PROMOTED);
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

/* What was there when the module was loaded is no target's. */
static ssize_t stored_pages_show(struct kobject *kobj,
				 struct kobj_attribute *attr, char *buf)
{
	if (kobj->parent != targets_dir)
		return sysfs_emit(buf, "%lu\n", cx_stored_pages());
	return sysfs_emit(buf, "%lld\n",
			  max(sum_of(kobj, CX_PUTS) - sum_of(kobj, CX_FREED), 0));
}

static struct kobj_attribute stored_pages_attr = __ATTR_RO(stored_pages);

/* What is no target's has no directory to be counted in. */
static struct attribute *all_attrs[] = {
	&rejected_target_attr.attr,
	NULL,
};

static struct attribute *each_attrs[] = {
	&stored_pages_attr.attr,
	&puts_attr.attr,
	&hits_attr.attr,
	&reclaimed_attr.attr,
	&given_back_attr.attr,
	&small_dropped_attr.attr,
	&promoted_attr.attr,
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

static const struct attribute_group all_group = { .attrs = all_attrs };
static const struct attribute_group each_group = { .attrs = each_attrs };

static int add_slot(unsigned int slot, const char *name)
{
	struct kobject *dir = kobject_create_and_add(name, targets_dir);
	int err;

	if (!dir)
		return -ENOMEM;
	WRITE_ONCE(slots[slot], dir);
	err = sysfs_create_group(dir, &each_group);
	if (!err)
		return slot;
	WRITE_ONCE(slots[slot], NULL);
	kobject_put(dir);
	return err;
}

static void remove_slot(unsigned int slot)
{
	struct kobject *dir = slots[slot];

	/* Nobody reads them on return. */
	sysfs_remove_group(dir, &each_group);
	WRITE_ONCE(slots[slot], NULL);
	kobject_put(dir);
}

/* Of a target that is none any more, nor has a page stored. */
static int find_unused(const unsigned long *in_use)
{
	enum cx_stat stat;
	unsigned int slot;

	/* Who has seen it as a target has counted what it put. */
	synchronize_rcu();
	for_each_clear_bit(slot, in_use, CX_SLOTS)
		if (slot && slot_sum(slot, CX_PUTS) == slot_sum(slot, CX_FREED))
			break;
	if (slot == CX_SLOTS)
		return -E2BIG;
	remove_slot(slot);
	for (stat = 0; stat < CX_NR_STATS; stat++)
		begin[slot][stat] = slot_sum(slot, stat);
	return slot;
}

/**
 * cx_stats_slot() - where a target's counters are
 * @name: the target; when it is new it gets a directory
 * @in_use: slots of targets that there are, and that there will be
 *
 * Context: process context, may sleep; targets aren't changed meanwhile.
 * Return: the slot; -E2BIG when all the others have pages stored or are in use; -ENOMEM.
 */
int cx_stats_slot(const char *name, const unsigned long *in_use)
{
	int slot, unused = 0;

	mutex_lock(&slots_lock);
	for (slot = 1; slot < CX_SLOTS; slot++) {
		if (!slots[slot])
			unused = unused ?: slot;
		else if (!strcmp(kobject_name(slots[slot]), name))
			goto out;
	}
	slot = unused ?: find_unused(in_use);
	if (slot > 0)
		slot = add_slot(slot, name);
	else
		pr_err("targets: \"%s\" not accepted: expected at most %d that are or have pages stored\n",
		       name, CX_SLOTS - 1);
out:
	mutex_unlock(&slots_lock);
	return slot;
}

/**
 * cx_stats_init() - make room for counters and show them
 * @root: the directory to show them in
 *
 * Context: process context, may sleep.
 * Return: 0 or a negative error.
 */
int cx_stats_init(struct kobject *root)
{
	int err = -ENOMEM;

	cx_stats = alloc_percpu(struct cx_stats);
	if (!cx_stats)
		return err;
	targets_dir = kobject_create_and_add("target_stats", root);
	if (!targets_dir)
		goto out_stats;
	err = sysfs_create_group(root, &each_group);
	if (err)
		goto out_dir;
	err = sysfs_create_group(root, &all_group);
	if (!err)
		return 0;
	sysfs_remove_group(root, &each_group);
out_dir:
	kobject_put(targets_dir);
out_stats:
	free_percpu(cx_stats);
	return err;
}

/**
 * cx_stats_hide() - nobody looks at counters on return
 * @root: the directory that they are shown in
 *
 * They may still be counted.
 *
 * Context: process context, may sleep.
 */
void cx_stats_hide(struct kobject *root)
{
	unsigned int slot;

	sysfs_remove_group(root, &all_group);
	sysfs_remove_group(root, &each_group);
	for (slot = 1; slot < CX_SLOTS; slot++)
		if (slots[slot])
			remove_slot(slot);
	kobject_put(targets_dir);
}

/**
 * cx_stats_exit() - free the counters
 *
 * Context: process context; nobody counts any more.
 */
void cx_stats_exit(void)
{
	free_percpu(cx_stats);
}
