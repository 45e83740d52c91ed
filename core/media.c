// SPDX-License-Identifier: GPL-2.0-only
/*
 * Media errors on demand, where the kernel can inject faults: pmem_tier/fail_media in debugfs.
 */

#include <linux/debugfs.h>
#include <linux/err.h>
#include <linux/fault-inject.h>
#include <pmem_tier/media.h>

#include "core.h"

static DECLARE_FAULT_ATTR(fail_media);
static struct dentry *dir;

/**
 * pmem_tier_fail_media() - shall this read of pmem fail?
 * @bytes: how much is to be read
 *
 * Context: any.
 * Return: true when it shall.
 */
bool pmem_tier_fail_media(size_t bytes)
{
	/* A task's fail-nth counts every attribute that is asked: ask only when it is set. */
	return unlikely(READ_ONCE(fail_media.probability)) &&
	       should_fail(&fail_media, bytes);
}
EXPORT_SYMBOL_GPL(pmem_tier_fail_media);

/**
 * tier_media_init() - make the files of fail_media
 *
 * Context: process context, may sleep. Without them nothing fails.
 */
void tier_media_init(void)
{
	dir = debugfs_create_dir("pmem_tier", NULL);
	fault_create_debugfs_attr("fail_media", dir, &fail_media);
}

/**
 * tier_media_exit() - remove them
 *
 * Context: process context, may sleep.
 */
void tier_media_exit(void)
{
	debugfs_remove(dir);
}
