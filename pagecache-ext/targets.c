// SPDX-License-Identifier: GPL-2.0-only
/*
 * Targets: which filesystems and block devices take part, as the operator says.
 */
#define pr_fmt(fmt) "pmem_cachex: " fmt

#include <linux/bitmap.h>
#include <linux/ctype.h>
#include <linux/fs.h>
#include <linux/kdev_t.h>
#include <linux/module.h>
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

/* What makes the number of a block device another one than that of a filesystem. */
#define BDEV_KEY	BIT_ULL(32)

/**
 * struct target - one word of the file "targets"
 * @key: the number of SUPER (st_dev, mostly), BDEV_KEY and the device of BDEV; for FSTYPE 0,
 *	the number of none
 * @kind: what it names
 * @slot: where its counters are
 * @name: the type of FSTYPE
 * @type: the same, once it has been met: until the module goes that has it
 */
struct target {
	u64 key;
	const struct file_system_type *type;
	enum kind kind;
	unsigned int slot;
	char name[NAME_LEN];
};

/**
 * struct targets - all of them, read under RCU
 * @rcu: for freeing
 * @has_types: some are FSTYPE
 * @nr: how many
 * @target: they
 */
struct targets {
	struct rcu_head rcu;
	bool has_types;
	unsigned int nr;
	struct target target[] __counted_by(nr);
};

/* targets_lock protects writing to the pointer. Taken under cx_lock; that of slots is below it. */
static DEFINE_MUTEX(targets_lock);
static struct targets __rcu *targets;

/* Apart, as it calls: what doesn't has no registers that would have to be saved. */
static noinline unsigned int target_by_name(struct targets *all,
					    const struct super_block *sb)
{
	struct target *t, *end = all->target + all->nr;

	for (t = all->target; t < end; t++) {
		if (t->kind != FSTYPE || strcmp(t->name, sb->s_type->name))
			continue;
		WRITE_ONCE(t->type, sb->s_type);
		return t->slot;
	}
	return 0;
}

/**
 * cx_target_of() - does an inode take part?
 * @inode: owner of a mapping
 *
 * Only filesystems on a block device can: others have no page that is worth it, or no
 * page that may be dropped.
 *
 * Context: interrupts disabled, which keeps the targets there.
 * Return: slot of the target that covers it, 0 when none does.
 */
notrace unsigned int cx_target_of(const struct inode *inode)
{
	struct targets *all = rcu_dereference_sched(targets);
	const struct super_block *sb = inode->i_sb;
	/* chmod writes it, but not this part of it. */
	bool bdev = S_ISBLK(READ_ONCE(inode->i_mode));
	const struct target *t, *end;
	u64 key;

	if (!all)
		return 0;
	if (!bdev && !(sb->s_type->fs_flags & FS_REQUIRES_DEV))
		return 0;
	key = bdev ? BDEV_KEY | inode->i_rdev : sb->s_dev;
	end = all->target + all->nr;
	for (t = all->target; t < end; t++)
		if (t->key == key)
			return t->slot;
	if (bdev || !all->has_types)
		return 0;
	for (t = all->target; t < end; t++)
		if (READ_ONCE(t->type) == sb->s_type)
			return t->slot;
	return target_by_name(all, sb);
}

/* A filesystem's module goes: it is mounted nowhere, so nobody puts its type there any more. */
static int module_event(struct notifier_block *nb, unsigned long event, void *unused)
{
	struct targets *all;
	unsigned int i;

	if (event != MODULE_STATE_GOING)
		return NOTIFY_DONE;
	mutex_lock(&targets_lock);
	all = rcu_dereference_protected(targets, lockdep_is_held(&targets_lock));
	for (i = 0; all && i < all->nr; i++)
		WRITE_ONCE(all->target[i].type, NULL);
	mutex_unlock(&targets_lock);
	return NOTIFY_DONE;
}

static struct notifier_block module_notifier = { .notifier_call = module_event };

/* MAJOR:MINOR, digits only: sscanf() would take more, and wrap around. */
static int parse_number(const char *word, dev_t *number)
{
	const char *colon = strchr(word, ':');
	unsigned int major, minor;
	char buf[16];

	if (!colon || colon - word >= (long)sizeof(buf) ||
	    !isdigit(word[0]) || !isdigit(colon[1]))
		return -EINVAL;
	memcpy(buf, word, colon - word);
	buf[colon - word] = 0;
	if (kstrtouint(buf, 10, &major) || kstrtouint(colon + 1, 10, &minor))
		return -EINVAL;
	*number = MKDEV(major, minor);
	return MAJOR(*number) == major && MINOR(*number) == minor ? 0 : -EINVAL;
}

static int parse(struct target *t, const char *word)
{
	const char *dev = word;
	dev_t number;

	t->kind = SUPER;
	if (!strncmp(word, "bdev:", 5)) {
		t->kind = BDEV;
		dev = word + 5;
	}
	if (!parse_number(dev, &number)) {
		t->key = number | (t->kind == BDEV ? BDEV_KEY : 0);
		return 0;
	}
	if (t->kind == BDEV)
		return -EINVAL;
	t->kind = FSTYPE;
	/* Types of filesystems that aren't loaded are fine. */
	if (!isalnum(*word) || strspn(word, "abcdefghijklmnopqrstuvwxyz0123456789_-.") !=
	    strlen(word))
		return -EINVAL;
	return strscpy(t->name, word) < 0 ? -EINVAL : 0;
}

static int name_of(const struct target *t, char *buf, size_t size)
{
	if (t->kind == FSTYPE)
		return scnprintf(buf, size, "%s", t->name);
	return scnprintf(buf, size, "%s%u:%u", t->kind == BDEV ? "bdev:" : "",
			 MAJOR((dev_t)t->key), MINOR((dev_t)t->key));
}

/* All of them get counters, or none becomes a target. */
static int replace(struct targets *new)
{
	DECLARE_BITMAP(in_use, CX_SLOTS) = { };
	struct targets *old;
	char name[NAME_LEN];
	unsigned int i;
	int slot = 0;

	mutex_lock(&targets_lock);
	old = rcu_dereference_protected(targets, lockdep_is_held(&targets_lock));
	for (i = 0; old && i < old->nr; i++)
		__set_bit(old->target[i].slot, in_use);
	for (i = 0; new && i < new->nr; i++) {
		name_of(&new->target[i], name, sizeof(name));
		slot = cx_stats_slot(name, in_use);
		if (slot < 0)
			break;
		__set_bit(slot, in_use);
		new->target[i].slot = slot;
	}
	old = new;
	if (slot >= 0)
		old = rcu_replace_pointer(targets, new,
					  lockdep_is_held(&targets_lock));
	mutex_unlock(&targets_lock);
	if (old)
		kfree_rcu(old, rcu);
	return min(slot, 0);
}

/* From now on more may be stored. */
static int begin_with(struct targets *new)
{
	int err;

	if (mutex_lock_killable(&cx_lock)) {
		kfree(new);
		return -EINTR;
	}
	cx_flush_prepare();
	err = replace(new);
	cx_flush_prepared();
	mutex_unlock(&cx_lock);
	return err;
}

/**
 * cx_targets_set() - set the targets
 * @buf: words separated by commas or white space; none at all is fine
 *
 * Holds for what is evicted from now on.
 *
 * Context: process context, may sleep, as long as a drain takes.
 * Return: 0; or, with nothing changed: -EINVAL for a word that is no target, -E2BIG for too many
 * of them, now or with those that still have pages stored; -ENOMEM; -EINTR for a fatal signal.
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
		new->has_types |= new->target[new->nr - 1].kind == FSTYPE;
		if (err) {
			pr_err("targets: \"%.40s\" not accepted: expected a filesystem's type (ext4), MAJOR:MINOR of a filesystem, or bdev:MAJOR:MINOR of a block device\n",
			       word);
			break;
		}
	}
out:
	kfree(copy);
	if (!err && new->nr)
		return begin_with(new);
	kfree(new);
	return err ?: replace(NULL);
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
		char name[NAME_LEN];

		name_of(&all->target[i], name, sizeof(name));
		len += sysfs_emit_at(buf, len, "%s%s", i ? " " : "", name);
	}
	rcu_read_unlock();
	return len + sysfs_emit_at(buf, len, "\n");
}

/**
 * cx_targets_init() - no targets so far
 *
 * Context: process context, may sleep.
 * Return: 0 or a negative error.
 */
int cx_targets_init(void)
{
	return register_module_notifier(&module_notifier);
}

/**
 * cx_targets_exit() - free the targets
 *
 * Context: process context, may sleep; nothing is evicted to pmem any more.
 */
void cx_targets_exit(void)
{
	unregister_module_notifier(&module_notifier);
	replace(NULL);
}
