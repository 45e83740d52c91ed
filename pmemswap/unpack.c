// SPDX-License-Identifier: GPL-2.0-only
/*
 * Reading a compressed slot: page-in, straight into the page it is for.
 *
 * Nothing is allocated: each CPU has what it takes, since compression was first wanted.
 */
#define pr_fmt(fmt) "pmemswap: " fmt

#include <linux/local_lock.h>
#include <linux/mutex.h>
#include <linux/percpu.h>
#include <linux/unaligned.h>
#include <linux/vmalloc.h>

#include "compress.h"
#include "pmemswap.h"

/**
 * struct unpacker - what a CPU has for it
 * @lock: for whom uses it; the slot's lock is inside
 * @dctx: decompresses
 * @workspace: its memory
 * @object: what was read from pmem
 */
struct unpacker {
	local_lock_t lock;
	zstd_dctx *dctx;
	void *workspace;
	u8 object[PACK_OBJECT_MAX] __aligned(8);
};

/* prepare_lock makes preparing one step. */
static DEFINE_MUTEX(prepare_lock);
static struct unpacker __percpu *unpackers;

static void free_unpackers(struct unpacker __percpu *all)
{
	int cpu;

	if (!all)
		return;
	for_each_possible_cpu(cpu)
		vfree(per_cpu_ptr(all, cpu)->workspace);
	free_percpu(all);
}

static int make_unpacker(struct unpacker *u, int cpu)
{
	size_t bytes = zstd_dctx_workspace_bound();

	local_lock_init(&u->lock);
	u->workspace = vmalloc_node(bytes, cpu_to_node(cpu));
	u->dctx = u->workspace ? zstd_init_dctx(u->workspace, bytes) : NULL;
	return u->dctx ? 0 : -ENOMEM;
}

/**
 * ps_unpack_prepare() - get what reading takes, before the first slot is compressed
 *
 * Context: process context, may sleep.
 * Return: 0 or -ENOMEM.
 */
int ps_unpack_prepare(void)
{
	struct unpacker __percpu *all;
	int cpu, err = 0;

	mutex_lock(&prepare_lock);
	if (unpackers)
		goto out;
	all = alloc_percpu(struct unpacker);
	if (!all) {
		err = -ENOMEM;
		goto out;
	}
	for_each_possible_cpu(cpu) {
		err = make_unpacker(per_cpu_ptr(all, cpu), cpu);
		if (err) {
			free_unpackers(all);
			goto out;
		}
	}
	unpackers = all;
out:
	mutex_unlock(&prepare_lock);
	return err;
}

/**
 * ps_unpack_exit() - undo ps_unpack_prepare()
 *
 * Context: process context, may sleep; no device is left.
 */
void ps_unpack_exit(void)
{
	free_unpackers(unpackers);
}

static int decompress(struct unpacker *u, unsigned long index,
		      unsigned long word, void *dst)
{
	u8 *frame = u->object + PS_FRAME_AT;
	size_t bytes;

	if (!pack_intact(u->object, index, pack_where(word).bytes))
		return -EBADMSG;
	put_unaligned_le32(ZSTD_MAGICNUMBER, frame);
	bytes = zstd_decompress_dctx(u->dctx, dst, PAGE_SIZE, frame,
				     pack_data_bytes(word) + PS_MAGIC_BYTES);
	return bytes == PAGE_SIZE ? 0 : -EBADMSG;
}

/**
 * ps_unpack() - decompress the data of a slot
 * @ps: the device
 * @index: the slot
 * @dst: where PAGE_SIZE bytes go
 *
 * Context: any but interrupts. Doesn't sleep, nor allocate.
 * Return: 0; -EAGAIN when the slot isn't a packed one; -EIO when the media failed; -EBADMSG
 * when the data is damaged.
 */
int ps_unpack(struct pmemswap *ps, unsigned long index, void *dst)
{
	struct slot *slot = &ps->slots[index];
	struct unpacker *u;
	unsigned long word;
	int err = -EAGAIN;

	local_lock(&unpackers->lock);
	u = this_cpu_ptr(unpackers);
	slot_lock(slot);
	word = slot_get(slot);
	/* Under the lock, or it could move. */
	if (slot_kind(word) == SLOT_PACKED)
		err = pack_read(&ps->compress->pack, word, u->object);
	slot_unlock(slot);
	if (!err)
		err = decompress(u, index, word, dst);
	local_unlock(&unpackers->lock);
	if (unlikely(err == -EBADMSG))
		pr_err_ratelimited("%s: slot %lu: its compressed data in page %lu of the pool is damaged: I/O error\n",
				   ps->disk->disk_name, index,
				   pack_where(word).page);
	return err;
}
