// SPDX-License-Identifier: GPL-2.0-only
/*
 * Targets: which filesystems and block devices take part, as the operator says.
 */
#define pr_fmt(fmt) "pmem_cachex: " fmt

#include <linux/fs.h>
#include <linux/kdev_t.h>
#include <linux/mutex.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/sysfs.h>

#include "cachex.h"

#define TARGETS_MAX	32
#define NAME_LEN	32

/**
 * enum kind - what a target names
 * @FSTYPE: filesystems of a type
 * @SUPER: one filesystem
 * @BDEV: a block device's own page cache
 */
enum kind {
	FSTYPE,
	SUPER,
	BDEV,
};

/**
 * struct target - one word of the file "targets"
 * @kind: what it names
 * @dev: the number of SUPER (st_dev, mostly), the device of BDEV
 * @name: the type of FSTYPE
 */
struct target {
	enum kind kind;
	dev_t dev;
	char name[NAME_LEN];
};

/**
 * struct targets - all of them, read under RCU
 * @rcu: for freeing
 * @nr: how many
 * @target: they
 */
struct targets {
	struct rcu_head rcu;
	unsigned int nr;
	struct target target[] __counted_by(nr);
};

/* targets_lock protects writing to the pointer. A leaf. */
static DEFINE_MUTEX(targets_lock);
static struct targets __rcu *targets;

static bool matches(const struct target *t, const struct inode *inode,
		    bool bdev)
{
	const struct super_block *sb = inode->i_sb;

	switch (t->kind) {
	case FSTYPE:
		return !bdev && !strcmp(t->name, sb->s_type->name);
	case SUPER:
		return !bdev && sb->s_dev == t->dev;
	case BDEV:
		return bdev && inode->i_rdev == t->dev;
	}
	return false;
}

/**
 * cx_targeted() - does an inode take part?
 * @inode: owner of a mapping
 *
 * Only filesystems on a block device can: others have no page that is worth it, or no
 * page that may be dropped.
 *
 * Context: any, under RCU.
 * Return: true if so.
 */
bool cx_targeted(const struct inode *inode)
{
	const struct targets *all = rcu_dereference(targets);
	bool bdev = S_ISBLK(inode->i_mode);
	unsigned int i;

	if (!all)
		return false;
	if (!bdev && !(inode->i_sb->s_type->fs_flags & FS_REQUIRES_DEV))
		return false;
	for (i = 0; i < all->nr; i++)
		if (matches(&all->target[i], inode, bdev))
			return true;
	return false;
}

static int parse(struct target *t, const char *word)
{
	const char *dev = word;
	unsigned int major, minor;
	char rest;

	t->kind = SUPER;
	if (!strncmp(word, "bdev:", 5)) {
		t->kind = BDEV;
		dev = word + 5;
	}
	if (sscanf(dev, "%u:%u%c", &major, &minor, &rest) == 2) {
		t->dev = MKDEV(major, minor);
		return MAJOR(t->dev) == major && MINOR(t->dev) == minor ?
		       0 : -EINVAL;
	}
	if (t->kind == BDEV)
		return -EINVAL;
	t->kind = FSTYPE;
	/* Types of filesystems that aren't loaded are fine. */
	if (!*word || strspn(word, "abcdefghijklmnopqrstuvwxyz0123456789_-.") !=
	    strlen(word))
		return -EINVAL;
	return strscpy(t->name, word) < 0 ? -EINVAL : 0;
}

static void replace(struct targets *new)
{
	struct targets *old;

	mutex_lock(&targets_lock);
	old = rcu_replace_pointer(targets, new, lockdep_is_held(&targets_lock));
	mutex_unlock(&targets_lock);
	if (old)
		kfree_rcu(old, rcu);
}

/**
 * cx_targets_set() - set the targets
 * @buf: words separated by commas or white space; none at all is fine
 *
 * Holds for what is evicted from now on.
 *
 * Context: process context, may sleep.
 * Return: 0; -EINVAL, with nothing changed, for a word that is no target, -E2BIG for too many
 * of them; -ENOMEM.
 */
int cx_targets_set(const char *buf)
{
	char *copy = kstrdup(buf, GFP_KERNEL), *at = copy, *word;
	struct targets *new;
	int err = 0;

	new = kzalloc(struct_size(new, target, TARGETS_MAX), GFP_KERNEL);
	if (!copy || !new) {
		err = -ENOMEM;
		goto out;
	}
	while ((word = strsep(&at, ", \t\n"))) {
		if (!*word)
			continue;
		if (new->nr == TARGETS_MAX) {
			pr_err("targets: \"%.40s\" not accepted: expected at most %d words\n",
			       word, TARGETS_MAX);
			err = -E2BIG;
			break;
		}
		new->nr++;
		err = parse(&new->target[new->nr - 1], word);
		if (err) {
			pr_err("targets: \"%.40s\" not accepted: expected a filesystem's type (ext4), MAJOR:MINOR of a filesystem, or bdev:MAJOR:MINOR of a block device\n",
			       word);
			break;
		}
	}
out:
	kfree(copy);
	if (err)
		kfree(new);
	else
		replace(new);
	return err;
}

/**
 * cx_targets_show() - the targets as they were set
 * @buf: a page
 *
 * Context: process context, may sleep.
 * Return: length of the line.
 */
ssize_t cx_targets_show(char *buf)
{
	const struct targets *all;
	ssize_t len = 0;
	unsigned int i;

	rcu_read_lock();
	all = rcu_dereference(targets);
	for (i = 0; all && i < all->nr; i++) {
		const struct target *t = &all->target[i];
		const char *sep = i ? " " : "";

		if (t->kind == FSTYPE)
			len += sysfs_emit_at(buf, len, "%s%s", sep, t->name);
		else
			len += sysfs_emit_at(buf, len, "%s%s%u:%u", sep,
					     t->kind == BDEV ? "bdev:" : "",
					     MAJOR(t->dev), MINOR(t->dev));
	}
	rcu_read_unlock();
	return len + sysfs_emit_at(buf, len, "\n");
}

/**
 * cx_targets_exit() - free the targets
 *
 * Context: process context, may sleep; nothing is evicted to pmem any more.
 */
void cx_targets_exit(void)
{
	replace(NULL);
}
