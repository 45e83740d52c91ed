// SPDX-License-Identifier: GPL-2.0-only
/*
 * /sys/block/pmemswapN/pmemswap: what the operator sees of a device.
 */
#define pr_fmt(fmt) "pmemswap: " fmt

#include <linux/device.h>
#include <linux/log2.h>
#include <linux/math64.h>
#include <linux/sched/signal.h>
#include <linux/sysfs.h>

#include "compress.h"
#include "pmemswap.h"

/* 4 GiB a second. */
#define PROMOTE_MAX	1048576

/* More than that takes longer, and wins nothing in a page. */
#define LEVEL_MAX	19

/* 4 hours; stamps go on for more than 18, see PS_STAMP_SHIFT. */
#define COLD_AGE_MAX	14400000

/* Slots that are looked at before others get the CPU. */
#define COUNT_BATCH	65536

static struct pmemswap *dev_to_ps(struct device *dev)
{
	return dev_to_disk(dev)->private_data;
}

static s64 ps_sum(struct pmemswap *ps, enum ps_stat stat)
{
	s64 sum = 0;
	int cpu;

	for_each_possible_cpu(cpu)
		sum += READ_ONCE(per_cpu_ptr(ps->stats, cpu)->count[stat]);
	/* A sum over CPUs that go on counting can be off for a moment. */
	return max(sum, 0LL);
}

static ssize_t namespace_show(struct device *dev,
			      struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%s\n", dev_to_ps(dev)->tier->name);
}
static DEVICE_ATTR_RO(namespace);

static ssize_t slots_total_show(struct device *dev,
				struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%lu\n", dev_to_ps(dev)->nr_slots);
}
static DEVICE_ATTR_RO(slots_total);

/**
 * ps_slots_used() - slots that hold data
 * @ps: the device
 *
 * Return: the number; exact when none is written or freed meanwhile.
 */
s64 ps_slots_used(struct pmemswap *ps)
{
	return ps_sum(ps, PS_SLOTS_RAW) + ps_sum(ps, PS_SLOTS_SAME) +
	       ps_sum(ps, PS_SLOTS_PACKED);
}

/**
 * ps_lent_pages() - pages of a device that mm has
 * @ps: the device
 *
 * Those that lost their slot are among them.
 *
 * Return: the number; exact when none is lent or returned meanwhile.
 */
s64 ps_lent_pages(struct pmemswap *ps)
{
	return ps_sum(ps, PS_LENT) + atomic_long_read(&ps->orphans);
}

/**
 * ps_shared_pages() - lent pages whose swap entry others refer to as well
 * @ps: the device
 *
 * Return: the number; exact when none is lent or settled meanwhile.
 */
s64 ps_shared_pages(struct pmemswap *ps)
{
	return ps_sum(ps, PS_SHARED);
}

static ssize_t slots_used_show(struct device *dev,
			       struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%lld\n", ps_slots_used(dev_to_ps(dev)));
}
static DEVICE_ATTR_RO(slots_used);

#define PS_STAT_ATTR(_name, _stat)					\
static ssize_t _name##_show(struct device *dev,				\
			    struct device_attribute *attr, char *buf)	\
{									\
	return sysfs_emit(buf, "%lld\n", ps_sum(dev_to_ps(dev), _stat));	\
}									\
static DEVICE_ATTR_RO(_name)

PS_STAT_ATTR(raw_slots, PS_SLOTS_RAW);
PS_STAT_ATTR(same_filled_slots, PS_SLOTS_SAME);
PS_STAT_ATTR(compressed_slots, PS_SLOTS_PACKED);
PS_STAT_ATTR(compressed_bytes, PS_PACKED_BYTES);
PS_STAT_ATTR(compress_lost_slots, PS_COMPRESS_RACES);
PS_STAT_ATTR(written_pages, PS_WRITTEN);
PS_STAT_ATTR(same_filled_pages, PS_SAME_FILLED);
PS_STAT_ATTR(copied_in_pages, PS_COPIED_IN);
PS_STAT_ATTR(decompressed_in_pages, PS_DECOMPRESSED_IN);
PS_STAT_ATTR(mapped_in_pages, PS_MAPPED_IN);
PS_STAT_ATTR(mapped_around_pages, PS_MAPPED_AROUND);
PS_STAT_ATTR(lent_pages, PS_LENT);
PS_STAT_ATTR(shared_pages, PS_SHARED);
PS_STAT_ATTR(unlent_pages, PS_UNLENT);
PS_STAT_ATTR(promoted_pages, PS_PROMOTED);
PS_STAT_ATTR(taken_back_pages, PS_TAKEN_BACK);
PS_STAT_ATTR(discarded_pages, PS_DISCARDED);
PS_STAT_ATTR(freed_pages, PS_FREED);
PS_STAT_ATTR(failed_write_full_pages, PS_FAILED_WRITE_FULL);
PS_STAT_ATTR(refused_allocations, PS_REFUSED);
PS_STAT_ATTR(failed_read_media_pages, PS_FAILED_READ_MEDIA);
PS_STAT_ATTR(failed_read_damaged_pages, PS_FAILED_READ_DAMAGED);
PS_STAT_ATTR(failed_write_media_pages, PS_FAILED_WRITE_MEDIA);

PS_STAT_ATTR(fallback_off, PS_FALLBACKS + PS_FALLBACK_OFF);
PS_STAT_ATTR(fallback_vma, PS_FALLBACKS + PS_FALLBACK_VMA);
PS_STAT_ATTR(fallback_pin, PS_FALLBACKS + PS_FALLBACK_PIN);
PS_STAT_ATTR(fallback_shared, PS_FALLBACKS + PS_FALLBACK_SHARED);
PS_STAT_ATTR(fallback_cached, PS_FALLBACKS + PS_FALLBACK_CACHED);
PS_STAT_ATTR(fallback_filled, PS_FALLBACKS + PS_FALLBACK_FILLED);
PS_STAT_ATTR(fallback_packed, PS_FALLBACKS + PS_FALLBACK_PACKED);
PS_STAT_ATTR(fallback_swapoff, PS_FALLBACKS + PS_FALLBACK_SWAPOFF);
PS_STAT_ATTR(fallback_media, PS_FALLBACKS + PS_FALLBACK_MEDIA);
PS_STAT_ATTR(fallback_race, PS_FALLBACKS + PS_FALLBACK_RACE);

static const char * const map_faults_names[] = {
	[PS_MAP_OFF] = "off",
	[PS_MAP_READ] = "read",
	[PS_MAP_ALL] = "all",
};

static ssize_t map_faults_show(struct device *dev,
			       struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%s\n",
			  map_faults_names[READ_ONCE(dev_to_ps(dev)->map_faults)]);
}

static ssize_t map_faults_store(struct device *dev,
				struct device_attribute *attr,
				const char *buf, size_t count)
{
	struct pmemswap *ps = dev_to_ps(dev);
	int value = sysfs_match_string(map_faults_names, buf);

	if (value < 0) {
		pr_err("%s: map_faults: \"%.*s\" not accepted: expected off, read or all\n",
		       ps->disk->disk_name, pmem_tier_shown(buf), buf);
		return -EINVAL;
	}
	if (value != PS_MAP_OFF) {
		int err = ps_map_in_enable();

		if (err == -EBUSY)
			pr_err("%s: map_faults: can't be turned on for the first time while slots are in use: swapoff first\n",
			       ps->disk->disk_name);
		if (err)
			return err;
	}
	WRITE_ONCE(ps->map_faults, value);
	return count;
}
static DEVICE_ATTR_RW(map_faults);

static ssize_t fault_around_pages_show(struct device *dev,
				       struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%u\n",
			  READ_ONCE(dev_to_ps(dev)->fault_around_pages));
}

static ssize_t fault_around_pages_store(struct device *dev,
					struct device_attribute *attr,
					const char *buf, size_t count)
{
	struct pmemswap *ps = dev_to_ps(dev);
	unsigned int pages;

	if (kstrtouint(buf, 10, &pages) || !pages || pages > PTRS_PER_PTE ||
	    !is_power_of_2(pages)) {
		pr_err("%s: fault_around_pages: \"%.*s\" not accepted: expected a power of 2 from 1 to %d\n",
		       ps->disk->disk_name, pmem_tier_shown(buf), buf,
		       PTRS_PER_PTE);
		return -EINVAL;
	}
	WRITE_ONCE(ps->fault_around_pages, pages);
	return count;
}
static DEVICE_ATTR_RW(fault_around_pages);

/* A file that takes a number within limits. */
static ssize_t store_number(struct device *dev, struct device_attribute *attr,
			    const char *buf, size_t count, unsigned int *number,
			    unsigned int min, unsigned int max)
{
	unsigned int value;

	if (kstrtouint(buf, 10, &value) || value < min || value > max) {
		pr_err("%s: %s: \"%.*s\" not accepted: expected %u to %u\n",
		       dev_to_ps(dev)->disk->disk_name, attr->attr.name,
		       pmem_tier_shown(buf), buf, min, max);
		return -EINVAL;
	}
	WRITE_ONCE(*number, value);
	return count;
}

static ssize_t promote_pages_per_second_show(struct device *dev,
					     struct device_attribute *attr,
					     char *buf)
{
	return sysfs_emit(buf, "%u\n",
			  READ_ONCE(dev_to_ps(dev)->promote_pages_per_second));
}

static ssize_t promote_pages_per_second_store(struct device *dev,
					      struct device_attribute *attr,
					      const char *buf, size_t count)
{
	return store_number(dev, attr, buf, count,
			    &dev_to_ps(dev)->promote_pages_per_second, 0,
			    PROMOTE_MAX);
}
static DEVICE_ATTR_RW(promote_pages_per_second);

/* A file that takes a 1, and then something is done. */
static ssize_t do_when_one(struct device *dev, struct device_attribute *attr,
			   const char *buf, size_t count,
			   int (*what)(struct pmemswap *ps))
{
	struct pmemswap *ps = dev_to_ps(dev);
	int err;

	if (!sysfs_streq(buf, "1")) {
		pr_err("%s: %s: \"%.*s\" not accepted: expected 1\n",
		       ps->disk->disk_name, attr->attr.name,
		       pmem_tier_shown(buf), buf);
		return -EINVAL;
	}
	err = what(ps);
	return err ?: count;
}

static ssize_t drain_store(struct device *dev, struct device_attribute *attr,
			   const char *buf, size_t count)
{
	return do_when_one(dev, attr, buf, count, ps_drain_wait);
}
static DEVICE_ATTR_WO(drain);

static ssize_t unlend_store(struct device *dev, struct device_attribute *attr,
			    const char *buf, size_t count)
{
	return do_when_one(dev, attr, buf, count, ps_unlend);
}
static DEVICE_ATTR_WO(unlend);

static ssize_t compress_now_store(struct device *dev,
				  struct device_attribute *attr,
				  const char *buf, size_t count)
{
	return do_when_one(dev, attr, buf, count, ps_compress_now);
}
static DEVICE_ATTR_WO(compress_now);

static const char * const compress_names[] = {
	[PS_COMPRESS_OFF] = "off",
	[PS_COMPRESS_COLD] = "cold",
	[PS_COMPRESS_ALWAYS] = "always",
};

static ssize_t compress_show(struct device *dev, struct device_attribute *attr,
			     char *buf)
{
	return sysfs_emit(buf, "%s\n",
			  compress_names[READ_ONCE(dev_to_ps(dev)->compress->mode)]);
}

static ssize_t compress_store(struct device *dev, struct device_attribute *attr,
			      const char *buf, size_t count)
{
	struct pmemswap *ps = dev_to_ps(dev);
	int value = sysfs_match_string(compress_names, buf);
	int err;

	if (value < 0) {
		pr_err("%s: compress: \"%.*s\" not accepted: expected off, cold or always\n",
		       ps->disk->disk_name, pmem_tier_shown(buf), buf);
		return -EINVAL;
	}
	err = ps_compress_set_mode(ps, value);
	return err ?: count;
}
static DEVICE_ATTR_RW(compress);

static ssize_t compress_level_show(struct device *dev,
				   struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%d\n", READ_ONCE(dev_to_ps(dev)->compress->level));
}

static ssize_t compress_level_store(struct device *dev,
				    struct device_attribute *attr,
				    const char *buf, size_t count)
{
	struct pmemswap *ps = dev_to_ps(dev);
	int level, err;

	if (kstrtoint(buf, 10, &level) || !level ||
	    level < zstd_min_clevel() || level > LEVEL_MAX) {
		pr_err("%s: compress_level: \"%.*s\" not accepted: expected %d to -1, or 1 to %d\n",
		       ps->disk->disk_name, pmem_tier_shown(buf), buf,
		       zstd_min_clevel(), LEVEL_MAX);
		return -EINVAL;
	}
	err = ps_compress_set_level(ps, level);
	return err ?: count;
}
static DEVICE_ATTR_RW(compress_level);

/* One of the numbers that compression goes by. */
static ssize_t store_compress_number(struct device *dev,
				     struct device_attribute *attr,
				     const char *buf, size_t count,
				     unsigned int *number, unsigned int min,
				     unsigned int max)
{
	ssize_t ret = store_number(dev, attr, buf, count, number, min, max);

	if (ret >= 0)
		ps_compress_changed(dev_to_ps(dev));
	return ret;
}

static ssize_t cold_age_ms_show(struct device *dev,
				struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%u\n",
			  READ_ONCE(dev_to_ps(dev)->compress->cold_age_ms));
}

static ssize_t cold_age_ms_store(struct device *dev,
				 struct device_attribute *attr,
				 const char *buf, size_t count)
{
	return store_compress_number(dev, attr, buf, count,
				     &dev_to_ps(dev)->compress->cold_age_ms,
				     0, COLD_AGE_MAX);
}
static DEVICE_ATTR_RW(cold_age_ms);

static ssize_t compress_cpu_percent_show(struct device *dev,
					 struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%u\n",
			  READ_ONCE(dev_to_ps(dev)->compress->cpu_percent));
}

static ssize_t compress_cpu_percent_store(struct device *dev,
					  struct device_attribute *attr,
					  const char *buf, size_t count)
{
	return store_compress_number(dev, attr, buf, count,
				     &dev_to_ps(dev)->compress->cpu_percent,
				     1, 100);
}
static DEVICE_ATTR_RW(compress_cpu_percent);

static ssize_t compress_cpu_ms_show(struct device *dev,
				    struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%llu\n",
			  div_u64(ps_compress_cpu_ns(dev_to_ps(dev)), NSEC_PER_MSEC));
}
static DEVICE_ATTR_RO(compress_cpu_ms);

static ssize_t packed_pages_show(struct device *dev,
				 struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%lu\n",
			  pack_nr_pages(&dev_to_ps(dev)->compress->pack));
}
static DEVICE_ATTR_RO(packed_pages);

/* Counted when somebody asks: those who lend, write and free have nothing to do with it. */
static ssize_t incompressible_slots_show(struct device *dev,
					 struct device_attribute *attr, char *buf)
{
	struct pmemswap *ps = dev_to_ps(dev);
	unsigned long index, n = 0;

	for (index = 0; index < ps->nr_slots; index++) {
		unsigned long word = slot_get(&ps->slots[index]);

		n += slot_kind(word) == SLOT_RAW && word & SLOT_TRIED;
		if (index % COUNT_BATCH)
			continue;
		if (fatal_signal_pending(current))
			return -EINTR;
		cond_resched();
	}
	return sysfs_emit(buf, "%lu\n", n);
}
static DEVICE_ATTR_RO(incompressible_slots);

static struct attribute *ps_attrs[] = {
	&dev_attr_namespace.attr,
	&dev_attr_slots_total.attr,
	&dev_attr_slots_used.attr,
	&dev_attr_raw_slots.attr,
	&dev_attr_same_filled_slots.attr,
	&dev_attr_compressed_slots.attr,
	&dev_attr_compressed_bytes.attr,
	&dev_attr_packed_pages.attr,
	&dev_attr_incompressible_slots.attr,
	&dev_attr_compress.attr,
	&dev_attr_compress_level.attr,
	&dev_attr_compress_cpu_percent.attr,
	&dev_attr_compress_cpu_ms.attr,
	&dev_attr_compress_lost_slots.attr,
	&dev_attr_compress_now.attr,
	&dev_attr_cold_age_ms.attr,
	&dev_attr_written_pages.attr,
	&dev_attr_same_filled_pages.attr,
	&dev_attr_copied_in_pages.attr,
	&dev_attr_decompressed_in_pages.attr,
	&dev_attr_mapped_in_pages.attr,
	&dev_attr_mapped_around_pages.attr,
	&dev_attr_lent_pages.attr,
	&dev_attr_shared_pages.attr,
	&dev_attr_unlent_pages.attr,
	&dev_attr_promoted_pages.attr,
	&dev_attr_taken_back_pages.attr,
	&dev_attr_fallback_off.attr,
	&dev_attr_fallback_vma.attr,
	&dev_attr_fallback_pin.attr,
	&dev_attr_fallback_shared.attr,
	&dev_attr_fallback_cached.attr,
	&dev_attr_fallback_filled.attr,
	&dev_attr_fallback_packed.attr,
	&dev_attr_fallback_swapoff.attr,
	&dev_attr_fallback_media.attr,
	&dev_attr_fallback_race.attr,
	&dev_attr_drain.attr,
	&dev_attr_unlend.attr,
	&dev_attr_promote_pages_per_second.attr,
	&dev_attr_map_faults.attr,
	&dev_attr_fault_around_pages.attr,
	&dev_attr_discarded_pages.attr,
	&dev_attr_freed_pages.attr,
	&dev_attr_failed_write_full_pages.attr,
	&dev_attr_refused_allocations.attr,
	&dev_attr_failed_read_media_pages.attr,
	&dev_attr_failed_read_damaged_pages.attr,
	&dev_attr_failed_write_media_pages.attr,
	NULL,
};

static const struct attribute_group ps_group = {
	.name = "pmemswap",
	.attrs = ps_attrs,
};

const struct attribute_group *ps_disk_groups[] = {
	&ps_group,
	NULL,
};
