// SPDX-License-Identifier: GPL-2.0-only
/*
 * The physical range of a tier: struct pages for it, and where they lie.
 */
#define pr_fmt(fmt) "pmem_tier: " fmt

#include <linux/ioport.h>
#include <linux/memremap.h>
#include <linux/mm.h>
#include <linux/mmzone.h>

#include "core.h"

/* auto: the memory map goes to pmem when it takes more than this of DRAM. */
#define MEMMAP_AUTO_PERCENT	2

#define SECTION_BYTES		BIT(SECTION_SIZE_BITS)
#define SECTION_MEMMAP_BYTES	(PAGES_PER_SECTION * sizeof(struct page))

/*
 * Whole memory sections in the range. Only their part of the memory map can
 * lie in the range itself: x86's vmemmap_populate() puts the part of a section
 * that isn't filled into DRAM, whatever the altmap says.
 */
static unsigned long whole_sections(const struct tier_ns *ns)
{
	u64 first = ALIGN(ns->phys, SECTION_BYTES);
	u64 end = ALIGN_DOWN(ns->phys + ns->size, SECTION_BYTES);

	return end > first ? (end - first) / SECTION_BYTES : 0;
}

/* Pages between the head guard and the pool when the memory map lies there. */
static unsigned long altmap_pages(const struct tier_ns *ns)
{
	unsigned long first = PHYS_PFN(ns->phys) + GUARD_PAGES;
	/* The map is made of huge pages where it lies in the altmap. */
	unsigned long align = ALIGN(first, PMD_SIZE >> PAGE_SHIFT) - first;

	return align + whole_sections(ns) * (SECTION_MEMMAP_BYTES >> PAGE_SHIFT);
}

/* Sets memmap. */
static int choose_memmap(struct tier_ns *ns)
{
	enum memmap_policy policy = tier_param_memmap();
	u64 bytes = (ns->size >> PAGE_SHIFT) * sizeof(struct page);
	int bad;

	ns->memmap = MEMMAP_RAM;

	if (policy == MEMMAP_AUTO) {
		u64 dram = (u64)si_mem_available() << PAGE_SHIFT;

		policy = bytes * 100 > dram * MEMMAP_AUTO_PERCENT ?
			 MEMMAP_PMEM : MEMMAP_RAM;
	}
	if (policy == MEMMAP_RAM)
		return 0;
	if (!whole_sections(ns)) {
		pr_info("%s: memory map goes to DRAM: the namespace holds no whole memory section of %lu MiB\n",
			ns->tier.name, SECTION_BYTES >> 20);
		return 0;
	}
	bad = tier_badblocks_in(ns, GUARD_BYTES,
				(u64)altmap_pages(ns) << PAGE_SHIFT);
	if (bad < 0)
		return bad;
	if (bad)
		pr_warn("%s: memory map goes to DRAM: there are bad blocks where it would lie in pmem\n",
			ns->tier.name);
	else
		ns->memmap = MEMMAP_PMEM;
	return 0;
}

static bool range_usable(const struct tier_ns *ns)
{
	unsigned long align = memremap_compat_align();
	phys_addr_t end = ns->phys + ns->size;

	if (!IS_ALIGNED(ns->phys | end, align)) {
		pr_err("%s: refused: range %pa-%pa is not aligned to %lu KiB\n",
		       ns->tier.name, &ns->phys, &end, align >> 10);
		return false;
	}
	if (region_intersects(ns->phys, ns->size, IORESOURCE_SYSTEM_RAM,
			      IORES_DESC_NONE) != REGION_DISJOINT) {
		pr_err("%s: refused: range %pa-%pa overlaps System RAM\n",
		       ns->tier.name, &ns->phys, &end);
		return false;
	}
	return true;
}

/* Nobody else may have it. */
static int take_range(struct tier_ns *ns)
{
	if (request_mem_region(ns->phys, ns->size, ns->tier.name))
		return 0;
	/* It doesn't say why. */
	if (region_intersects(ns->phys, ns->size, IORESOURCE_BUSY,
			      IORES_DESC_NONE) == REGION_DISJOINT)
		return -ENOMEM;
	pr_err("%s: refused: its range is in use\n", ns->tier.name);
	return -EBUSY;
}

/**
 * tier_range_map() - make struct pages for the range of a tier
 * @ns: the tier, with phys and size set
 *
 * The pages are MEMORY_DEVICE_COHERENT: reachable by the CPU, mappable into
 * processes, with a callback when the last reference goes. They start with a
 * refcount of 0. Sets where the pool begins and ends, and its address.
 *
 * Context: process context, may sleep.
 * Return: 0; -EINVAL when the range can't be used; -EBUSY when it is taken;
 * -ENOMEM; or what memremap_pages() says.
 */
int tier_range_map(struct tier_ns *ns)
{
	struct dev_pagemap *pgmap = &ns->pgmap;
	unsigned long nr_pages = ns->size >> PAGE_SHIFT;
	unsigned long altmap = 0;
	void *addr;
	int err;

	if (!range_usable(ns))
		return -EINVAL;
	err = take_range(ns);
	if (err)
		return err;

	err = choose_memmap(ns);
	if (err)
		goto out;
	pgmap->type = MEMORY_DEVICE_COHERENT;
	pgmap->ops = &tier_pagemap_ops;
	pgmap->owner = ns;
	pgmap->range.start = ns->phys;
	pgmap->range.end = ns->phys + ns->size - 1;
	pgmap->nr_range = 1;
	if (ns->memmap == MEMMAP_PMEM) {
		struct vmem_altmap map = {
			.base_pfn = PHYS_PFN(ns->phys),
			.end_pfn = PHYS_PFN(pgmap->range.end),
			.reserve = GUARD_PAGES,
		};

		altmap = altmap_pages(ns);
		err = tier_wipe_memmap(ns, (u64)altmap << PAGE_SHIFT);
		if (err)
			goto out;
		map.free = altmap;
		/* It has a const member, so it can't be assigned. */
		memcpy(&pgmap->altmap, &map, sizeof(map));
		pgmap->flags = PGMAP_ALTMAP_VALID;
	}

	addr = memremap_pages(pgmap, ns->tier.nid);
	if (IS_ERR(addr)) {
		err = PTR_ERR(addr);
		goto out;
	}

	ns->memmap_bytes = nr_pages * sizeof(struct page);
	if (altmap)
		ns->memmap_bytes -= whole_sections(ns) * SECTION_MEMMAP_BYTES;
	ns->tier.first_pfn = PHYS_PFN(ns->phys) + GUARD_PAGES + altmap;
	ns->tier.nr_pages = nr_pages - 2 * GUARD_PAGES - altmap;
	ns->tier.addr = addr + ((GUARD_PAGES + altmap) << PAGE_SHIFT);
	return 0;

out:
	release_mem_region(ns->phys, ns->size);
	pr_err("%s: can't make struct pages for %zu MiB (memmap=%s): error %d\n",
	       ns->tier.name, ns->size >> 20, tier_memmap_name(ns->memmap), err);
	return err;
}

/**
 * tier_range_unmap() - undo tier_range_map()
 * @ns: the tier; nobody holds a reference to a page of it
 *
 * Context: process context, may sleep; waits for the last reference.
 */
void tier_range_unmap(struct tier_ns *ns)
{
	tier_badblocks_unmap(ns);
	memunmap_pages(&ns->pgmap);
	release_mem_region(ns->phys, ns->size);
}
