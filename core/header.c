// SPDX-License-Identifier: GPL-2.0-only
/*
 * The guard areas of a namespace: refuse foreign data, keep our own header.
 */
#define pr_fmt(fmt) "pmem_tier: " fmt

#include <linux/crc32.h>
#include <linux/io.h>
#include <linux/libnvdimm.h>
#include <linux/slab.h>
#include <pmem_tier/media.h>

#include "core.h"
#include "signature.h"

#define HEADER_MAGIC	"PMEM_TIER_POOL\0"
#define HEADER_VERSION	1

/* The pool was not released: what it holds belonged to somebody. */
#define HEADER_IN_USE	BIT(0)

/* The pool may hold what somebody wrote to it: it wasn't wiped since. */
#define HEADER_HAS_DATA	BIT(1)

/**
 * struct tier_header - first page of a namespace that was ever claimed
 * @magic: HEADER_MAGIC
 * @uuid: identity of the pool, made when the namespace was first claimed
 * @version: HEADER_VERSION
 * @flags: HEADER_IN_USE, HEADER_HAS_DATA
 * @bytes: size of the namespace
 * @padding: zero
 * @crc: CRC-32 of all that stands before it
 */
struct tier_header {
	u8 magic[16];
	u8 uuid[UUID_SIZE];
	__le32 version;
	__le32 flags;
	__le64 bytes;
	u8 padding[PAGE_SIZE - 52];
	__le32 crc;
} __packed;

static u32 header_crc(const struct tier_header *h)
{
	return crc32_le(~0, (const u8 *)h, offsetof(struct tier_header, crc));
}

static bool header_ours(const struct tier_header *h)
{
	return !memcmp(h->magic, HEADER_MAGIC, sizeof(h->magic));
}

static bool header_valid(const struct tier_header *h)
{
	return header_ours(h) &&
	       le32_to_cpu(h->version) == HEADER_VERSION &&
	       le32_to_cpu(h->crc) == header_crc(h);
}

static int guard_read(struct tier_ns *ns, u64 offset, void *buf)
{
	void *addr;
	int err;

	/* Don't provoke a machine check that the platform told us of. */
	err = tier_badblocks_in(ns, offset, GUARD_BYTES);
	if (err)
		return err < 0 ? err : -EIO;
	addr = memremap(ns->phys + offset, GUARD_BYTES, MEMREMAP_WB);
	if (!addr)
		return -ENOMEM;
	err = pmem_tier_copy_mc(buf, addr, GUARD_BYTES);
	memunmap(addr);
	return err;
}

/* Nobody else's data may be on the namespace, unless the operator gave it up. */
static int refuse_foreign(struct tier_ns *ns, const u8 *head, const u8 *tail)
{
	bool ours = header_valid((const struct tier_header *)head);
	const char *what;
	long offset = 0;

	what = signature_find(head, tail, &offset);
	/* libnvdimm keeps the class of what was there before a forced claim. */
	if (!what && !ours && ns->ndns->claim_class != NVDIMM_CCLASS_NONE &&
	    ns->ndns->claim_class != NVDIMM_CCLASS_UNKNOWN)
		what = "BTT, pfn or dax (by its label)";
	if (!what)
		return 0;
	if (tier_force) {
		pr_warn("%s: force=1: overwriting a namespace with a %s signature at offset %ld\n",
			ns->tier.name, what, offset);
		return 0;
	}
	pr_err("%s: refused: it carries a %s signature at offset %ld%s; wipe it (wipefs, ndctl) or load pmem_tier with force=1, and lose the data\n",
	       ns->tier.name, what, offset, offset < 0 ? " from its end" : "");
	return -EEXIST;
}

/**
 * tier_header_check() - may this namespace be used, and who is it?
 * @ns: the tier, with phys and size set; nothing of it is mapped yet
 *
 * Reads both guard areas and writes nothing. Sets the tier's uuid: the one in
 * the header on the media, else a new one. Sets has_data.
 *
 * Context: process context, may sleep.
 * Return: 0; -EEXIST when it carries a signature and force isn't set; -EIO when
 * a guard area can't be read; -ENOMEM.
 */
int tier_header_check(struct tier_ns *ns)
{
	const struct tier_header *h;
	u8 *head, *tail;
	int err = -ENOMEM;

	BUILD_BUG_ON(sizeof(struct tier_header) != PAGE_SIZE);
	BUILD_BUG_ON(SIGNATURE_WINDOW != GUARD_BYTES);

	head = kvmalloc(GUARD_BYTES, GFP_KERNEL);
	tail = kvmalloc(GUARD_BYTES, GFP_KERNEL);
	if (!head || !tail)
		goto out;
	err = guard_read(ns, 0, head);
	if (!err)
		err = guard_read(ns, ns->size - GUARD_BYTES, tail);
	if (err) {
		pr_err("%s: refused: can't read the first or last %lu KiB: error %d\n",
		       ns->tier.name, GUARD_BYTES >> 10, err);
		goto out;
	}
	err = refuse_foreign(ns, head, tail);
	if (err)
		goto out;

	h = (const struct tier_header *)head;
	if (header_valid(h)) {
		import_uuid(&ns->tier.uuid, h->uuid);
		ns->has_data = le32_to_cpu(h->flags) &
			       (HEADER_IN_USE | HEADER_HAS_DATA);
		if (le32_to_cpu(h->flags) & HEADER_IN_USE)
			pr_info("%s: pool %pUb was not released before; its old content is ignored\n",
				ns->tier.name, &ns->tier.uuid);
	} else {
		uuid_gen(&ns->tier.uuid);
		/* Torn by a power cut, or of another version: it may have said so. */
		ns->has_data = header_ours(h);
		if (ns->has_data)
			pr_warn("%s: its header can't be relied on (damaged, or of another version): taken for a pool that was not released, now %pUb\n",
				ns->tier.name, &ns->tier.uuid);
	}
out:
	kvfree(tail);
	kvfree(head);
	return err;
}

static void *guard_addr(struct tier_ns *ns, u64 offset)
{
	return __va(ns->phys + offset);
}

static void header_write(struct tier_ns *ns, u32 flags)
{
	struct tier_header *h = guard_addr(ns, 0);
	u32 head[offsetof(struct tier_header, padding) / sizeof(u32)] = {};
	struct tier_header *v = (struct tier_header *)head;
	__le32 crc;
	u32 sum;

	/* Not readable any more, and perhaps not mapped (set_mce_nospec()). */
	if (READ_ONCE(ns->header_bad))
		return;
	memcpy(v->magic, HEADER_MAGIC, sizeof(v->magic));
	export_uuid(v->uuid, &ns->tier.uuid);
	v->version = cpu_to_le32(HEADER_VERSION);
	v->flags = cpu_to_le32(flags);
	v->bytes = cpu_to_le64(ns->size);
	/* The padding on the media is zero already: don't read it back. */
	sum = crc32_le(~0, (const u8 *)head, sizeof(head));
	sum = crc32_le(sum, page_address(ZERO_PAGE(0)), sizeof(h->padding));
	crc = cpu_to_le32(sum);
	memcpy_flushcache(h, head, sizeof(head));
	memcpy_flushcache(&h->crc, &crc, sizeof(crc));
	nvdimm_flush(to_nd_region(ns->tier.dev->parent), NULL);
}

/**
 * tier_header_open() - from here on the namespace is ours
 * @ns: the tier, mapped
 *
 * Clears the guard areas (a forced claim leaves no old superblock behind that
 * could come to life again) and writes the header. Not a word of the one that is there is
 * cleared before: where the power fails in between, what it says of the pool has to be known.
 *
 * Context: process context, may sleep.
 * Return: 0; -EIO when a guard area has failed since tier_header_check(); -ENOMEM.
 */
int tier_header_open(struct tier_ns *ns)
{
	struct tier_header *h = guard_addr(ns, 0);
	int err;

	/* Wiping takes its time. A page that failed may not be mapped any more. */
	err = tier_badblocks_in(ns, 0, GUARD_BYTES) ?:
	      tier_badblocks_in(ns, ns->size - GUARD_BYTES, GUARD_BYTES);
	if (err < 0)
		return err;
	if (err || READ_ONCE(ns->guard_bad)) {
		pr_err("%s: refused: the first or last %lu KiB have failed meanwhile\n",
		       ns->tier.name, GUARD_BYTES >> 10);
		return -EIO;
	}
	memset(h->padding, 0, sizeof(h->padding));
	memset(h + 1, 0, GUARD_BYTES - sizeof(*h));
	memset(guard_addr(ns, ns->size - GUARD_BYTES), 0, GUARD_BYTES);
	arch_wb_cache_pmem(h, GUARD_BYTES);
	arch_wb_cache_pmem(guard_addr(ns, ns->size - GUARD_BYTES), GUARD_BYTES);
	header_write(ns, HEADER_IN_USE | HEADER_HAS_DATA);
	return 0;
}

/**
 * tier_header_reopen() - somebody else may have written the header
 * @ns: the tier, mapped
 *
 * Context: process context.
 */
void tier_header_reopen(struct tier_ns *ns)
{
	header_write(ns, HEADER_IN_USE | HEADER_HAS_DATA);
}

/**
 * tier_header_close() - the namespace is given back in good order
 * @ns: the tier, still mapped
 *
 * Context: process context.
 */
void tier_header_close(struct tier_ns *ns)
{
	header_write(ns, ns->has_data ? HEADER_HAS_DATA : 0);
}
