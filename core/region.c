// SPDX-License-Identifier: GPL-2.0-only
/*
 * The region of a namespace: may it be written?
 */

#include <linux/device.h>
#include <linux/gfp.h>
#include <linux/kstrtox.h>
#include <linux/string.h>

#include "core.h"

static struct device_attribute *find_attribute(struct device *dev,
					       const char *name)
{
	const struct attribute_group **group = dev->type->groups;

	for (; group && *group; group++) {
		struct attribute **attr = (*group)->attrs;

		for (; attr && *attr; attr++)
			if (!strcmp((*attr)->name, name))
				return container_of(*attr,
						    struct device_attribute,
						    attr);
	}
	return NULL;
}

/**
 * tier_region_writable() - may namespaces of this region be written?
 * @region: the region's device
 *
 * An operator protects a region by its file "read_only"; libnvdimm does for DIMMs
 * that couldn't save their contents. That state is private to libnvdimm, so ask the
 * file.
 *
 * Context: process context, may sleep.
 * Return: 0 when they may; -EROFS; -EOPNOTSUPP when there is no such file;
 * -ENOMEM.
 */
int tier_region_writable(struct device *region)
{
	struct device_attribute *attr = find_attribute(region, "read_only");
	bool read_only;
	char *buf;
	int err;

	if (!attr || !attr->show)
		return -EOPNOTSUPP;
	/* What show() may fill. */
	buf = (char *)get_zeroed_page(GFP_KERNEL);
	if (!buf)
		return -ENOMEM;
	err = attr->show(region, attr, buf);
	if (err >= 0)
		err = kstrtobool(buf, &read_only);
	free_page((unsigned long)buf);
	if (err)
		return err;
	return read_only ? -EROFS : 0;
}
