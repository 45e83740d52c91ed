// SPDX-License-Identifier: GPL-2.0-only
/*
 * Cold slots are compressed, in the background or on request.
 */
#define pr_fmt(fmt) "pmemswap: " fmt

/**
 * DOC: compression of cold slots
 *
 * Page-out never compresses. A thread of each device looks for raw slots that nobody has
 * touched for a while, and packs their data (pack.c says where it goes). A raw slot's word
 * says when it was last written, read or swapped out in place.
 *
 * The thread copies the data under the slot's lock, and marks the slot as claimed. It
 * compresses what it has copied without any lock. Whoever writes to the slot, reads it, maps
 * its page or frees it changes the word meanwhile; only if it is still the same, under
 * the lock again, does the slot become a packed one. A lent page is never looked at: its
 * slot isn't raw.
 *
 * When it does so is for background.c.
 */

#include <linux/kthread.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/vmalloc.h>
#include <pmem_tier/media.h>

#include "compress.h"
#include "pmemswap.h"
#include "trace.h"

/* Slots that are looked at before others get the CPU. */
#define SCAN		1024

/* zstd is faster with room to spare. */
#define OBJECT_BYTES	(3 * PAGE_SIZE)

static struct ps_compress *to_compress(const struct pack *pack)
{
	return container_of(pack, struct ps_compress, pack);
}

static int read_pmem(const struct pack *pack, unsigned long page,
		     unsigned int offset, void *to, unsigned int bytes)
{
	struct pmem_tier *tier = to_compress(pack)->ps->tier;

	if (pmem_tier_index_bad(tier, page))
		return -EIO;
	if (likely(!pmem_tier_copy_mc(to, pmem_tier_index_addr(tier, page) +
					  offset, bytes)))
		return 0;
	pmem_tier_mark_bad(tier, page);
	return -EIO;
}

static bool good_page(const struct pack *pack, unsigned long page)
{
	return !pmem_tier_index_bad(to_compress(pack)->ps->tier, page);
}

static long get_page_of_pool(struct pack *pack)
{
	return pmem_tier_alloc(to_compress(pack)->ps->tier, PMEM_TIER_SWAP);
}

static void put_page_of_pool(struct pack *pack, unsigned long page)
{
	pmem_tier_free(to_compress(pack)->ps->tier, page, PMEM_TIER_SWAP);
}

/**
 * ps_packed_drop() - the data of a packed slot is nobody's any more
 * @ps: the device
 * @word: the word that the slot had
 *
 * Context: any but interrupts; may be called under mm's spin locks.
 */
void ps_packed_drop(struct pmemswap *ps, unsigned long word)
{
	ps_count(ps, PS_SLOTS_PACKED, -1);
	ps_count(ps, PS_PACKED_BYTES,
		 -(long)(pack_data_bytes(word) + PS_MAGIC_BYTES));
	pack_free(&ps->compress->pack, word);
}

/* Copy the data of a raw slot and claim it; false when the word isn't that any more. */
static bool claim(struct ps_compress *c, struct slot *slot, unsigned long word,
		  int *err)
{
	struct pmem_tier *tier = c->ps->tier;
	unsigned long page = slot_page(word);
	bool same;

	slot_lock(slot);
	same = slot_get(slot) == word;
	if (same) {
		*err = pmem_tier_index_bad(tier, page) ? -EIO :
		       pmem_tier_copy_out(tier, page, c->raw);
		/* What can't be read isn't tried again either. */
		slot_set(slot, word | (*err ? SLOT_TRIED : SLOT_CLAIMED));
	}
	slot_unlock(slot);
	return same;
}

static enum ps_compress_result become_same(struct ps_compress *c,
					   struct slot *slot,
					   unsigned long word, u32 value)
{
	struct pmemswap *ps = c->ps;

	if (!slot_change_if(slot, word, slot_word(SLOT_SAME, value)))
		return PS_COMPRESS_LOST;
	pmem_tier_free(ps->tier, slot_page(word), PMEM_TIER_SWAP);
	ps_count(ps, PS_SLOTS_RAW, -1);
	ps_count(ps, PS_SLOTS_SAME, 1);
	return PS_COMPRESS_SAME;
}

/* The slot is claimed, @word says so, its data has been copied. */
static enum ps_compress_result become_packed(struct ps_compress *c,
					     unsigned long index,
					     unsigned long word)
{
	struct slot *slot = &c->ps->slots[index];
	struct pmemswap *ps = c->ps;
	unsigned int bytes;
	bool page_used;
	size_t frame;

	frame = zstd_compress_cctx(c->cctx, c->object + PS_FRAME_AT,
				   OBJECT_BYTES - PS_FRAME_AT, c->raw,
				   PAGE_SIZE, &c->params);
	if (zstd_is_error(frame))
		pr_err_once("zstd, level %d: error %u: slots stay as they are\n",
			    c->level, zstd_get_error_code(frame));
	if (zstd_is_error(frame) || frame > PACK_DATA_MAX) {
		return slot_change_if(slot, word, (word & ~SLOT_CLAIMED) |
						  SLOT_TRIED) ?
		       PS_COMPRESS_USELESS : PS_COMPRESS_LOST;
	}
	bytes = pack_seal(c->object, index, frame - PS_MAGIC_BYTES);
	if (!pack_append(&c->pack, index, word, c->object, bytes,
			 slot_page(word), &page_used))
		return PS_COMPRESS_LOST;
	if (!page_used)
		pmem_tier_free(ps->tier, slot_page(word), PMEM_TIER_SWAP);
	ps_count(ps, PS_SLOTS_RAW, -1);
	ps_count(ps, PS_SLOTS_PACKED, 1);
	ps_count(ps, PS_PACKED_BYTES, frame);
	return PS_COMPRESS_PACKED;
}

/* Returns true when there was work. */
static bool compress_slot(struct ps_compress *c, unsigned long index,
			  struct ps_pass *pass)
{
	struct slot *slot = &c->ps->slots[index];
	unsigned long age, word = slot_get(slot);
	enum ps_compress_result result;
	int err = 0;
	u32 value;

	if (slot_kind(word) != SLOT_RAW || word & SLOT_TRIED)
		return false;
	age = slot_age(word, ps_stamp());
	if (age < pass->min_age) {
		pass->oldest = max(pass->oldest, age);
		return false;
	}
	if (!claim(c, slot, word, &err))
		result = PS_COMPRESS_LOST;
	else if (err)
		result = PS_COMPRESS_MEDIA;
	else if (slot_same_filled(c->raw, &value))
		result = become_same(c, slot, word | SLOT_CLAIMED, value);
	else
		result = become_packed(c, index, word | SLOT_CLAIMED);
	if (result == PS_COMPRESS_LOST)
		ps_count(c->ps, PS_COMPRESS_RACES, 1);
	trace_compress(c->ps->id, index, result);
	return true;
}

/**
 * ps_compress_some() - a piece of work
 * @c: compression of a device, that was prepared, between pack_begin() and pack_end()
 * @pass: where in the slot table; NULL: packed pages are cleaned, and that is all
 *
 * Slots that are within a u32 are all that swap can have.
 *
 * Context: process context, under c->lock.
 * Return: true when there is more before the end of the table.
 */
bool ps_compress_some(struct ps_compress *c, struct ps_pass *pass)
{
	unsigned long end = min(c->ps->nr_slots, 1UL + U32_MAX);
	unsigned int moved = 0;
	bool more;
	int n;

	lockdep_assert_held(&c->lock);
	/* The pool may have pages now that it hadn't. */
	if (pass && !pass->at)
		c->pack.stuck = 0;
	more = pack_clean(&c->pack, &moved);
	if (moved)
		trace_pack_clean(c->ps->id, moved);
	if (more || !pass)
		return more;
	for (n = 0; n < SCAN && pass->at < end; n++)
		if (compress_slot(c, pass->at++, pass))
			return true;
	return pass->at < end;
}

static void account(struct ps_compress *c, long bytes)
{
	c->bytes += bytes;
	pmem_tier_account_metadata(c->ps->tier, bytes);
}

/* A context for a level, in place of the one that there is. */
static int make_context(struct ps_compress *c, int level)
{
	zstd_compression_parameters params;
	void *workspace;
	zstd_cctx *cctx;
	size_t bytes;

	lockdep_assert_held(&c->lock);
	params = zstd_get_cparams(level, PAGE_SIZE, 0);
	bytes = zstd_cctx_workspace_bound(&params);
	workspace = vmalloc_node(bytes, c->ps->tier->nid);
	if (!workspace)
		return -ENOMEM;
	cctx = zstd_init_cctx(workspace, bytes);
	if (!cctx) {
		vfree(workspace);
		return -EINVAL;
	}
	vfree(c->workspace);
	account(c, (long)bytes - (long)c->workspace_bytes);
	c->workspace = workspace;
	c->workspace_bytes = bytes;
	c->cctx = cctx;
	c->params = zstd_get_params(level, PAGE_SIZE);
	WRITE_ONCE(c->level, level);
	return 0;
}

/* Pages of the pool remember what is packed in them in their struct page. */
static void lay_over(struct pmemswap *ps)
{
	struct page *page = pmem_tier_index_page(ps->tier, 0);
	struct pack *pack = &ps->compress->pack;

	static_assert(offsetof(struct page, private) ==
		      offsetof(struct page, index) +
		      offsetof(struct pack_page, state));
	static_assert(sizeof(struct pack_page) ==
		      sizeof_field(struct page, index) +
		      sizeof_field(struct page, private));
	pack->pages = &page->index;
	pack->stride = sizeof(*page);
}

static void free_memory(struct ps_compress *c)
{
	kfree(c->pack.buffer);
	c->pack.buffer = NULL;
	vfree(c->pack.map);
	c->pack.map = NULL;
	kfree(c->object);
	c->object = NULL;
	kfree(c->raw);
	c->raw = NULL;
	vfree(c->workspace);
	c->workspace = NULL;
	c->workspace_bytes = 0;
	c->cctx = NULL;
}

static int get_memory(struct ps_compress *c)
{
	struct pmem_tier *tier = c->ps->tier;
	size_t map = BITS_TO_LONGS(tier->nr_pages) * sizeof(long);
	int err = make_context(c, c->level);

	if (err)
		return err;
	account(c, map + PAGE_SIZE + OBJECT_BYTES + PACK_OBJECT_MAX);
	c->pack.map = vzalloc_node(map, tier->nid);
	c->raw = kmalloc_node(PAGE_SIZE, GFP_KERNEL, tier->nid);
	c->object = kmalloc_node(OBJECT_BYTES, GFP_KERNEL, tier->nid);
	c->pack.buffer = kmalloc_node(PACK_OBJECT_MAX, GFP_KERNEL, tier->nid);
	return c->pack.map && c->raw && c->object && c->pack.buffer ? 0 :
								      -ENOMEM;
}

/* Get what compressing takes, when it is first wanted: all of it or nothing. */
static int prepare(struct ps_compress *c)
{
	struct task_struct *task;
	int err;

	lockdep_assert_held(&c->lock);
	if (c->task)
		return 0;
	if (c->ps->tier->nr_pages > BIT(SLOT_PAGE_BITS))
		return -EFBIG;
	err = ps_unpack_prepare();
	if (err)
		return err;
	err = get_memory(c);
	if (err)
		goto out_free;
	task = kthread_create(ps_compress_thread, c, "pmemswap%d_comp",
			      c->ps->id);
	err = PTR_ERR_OR_ZERO(task);
	if (err)
		goto out_free;
	/* What is freed of a packed page can't always be had at once. */
	ps_full_enable();
	WRITE_ONCE(c->task, get_task_struct(task));
	wake_up_process(task);
	return 0;

out_free:
	account(c, -(long)c->bytes);
	free_memory(c);
	return err;
}

/**
 * ps_compress_set_mode() - which slots are compressed from now on?
 * @ps: the device
 * @mode: enum ps_compress_mode
 *
 * Context: process context, may sleep.
 * Return: 0 or a negative error.
 */
int ps_compress_set_mode(struct pmemswap *ps, int mode)
{
	struct ps_compress *c = ps->compress;
	int err = 0;

	mutex_lock(&c->lock);
	if (mode != PS_COMPRESS_OFF)
		err = prepare(c);
	if (!err)
		WRITE_ONCE(c->mode, mode);
	mutex_unlock(&c->lock);
	if (!err)
		ps_compress_changed(ps);
	return err;
}

/**
 * ps_compress_set_level() - how hard to compress from now on?
 * @ps: the device
 * @level: as zstd has them
 *
 * What is compressed stays as it is.
 *
 * Context: process context, may sleep.
 * Return: 0 or a negative error.
 */
int ps_compress_set_level(struct pmemswap *ps, int level)
{
	struct ps_compress *c = ps->compress;
	int err = 0;

	mutex_lock(&c->lock);
	if (c->cctx)
		err = make_context(c, level);
	else
		WRITE_ONCE(c->level, level);
	mutex_unlock(&c->lock);
	return err;
}

/**
 * ps_compress_now() - compress what can be, cold or not
 * @ps: the device
 *
 * In the caller's time.
 *
 * Context: process context, may sleep.
 * Return: 0 or a negative error.
 */
int ps_compress_now(struct pmemswap *ps)
{
	u64 used, before = READ_ONCE(current->se.sum_exec_runtime);
	struct ps_compress *c = ps->compress;
	struct ps_pass pass = {};
	bool more = true;
	int err = 0;

	while (more && !err) {
		u64 start = ktime_get_ns();

		if (mutex_lock_killable(&c->lock)) {
			err = -EINTR;
			break;
		}
		err = prepare(c);
		if (err) {
			mutex_unlock(&c->lock);
			break;
		}
		pack_begin(&c->pack);
		for (used = 0; used < PS_SLICE_NS && more && !err;
		     used = ktime_get_ns() - start) {
			more = ps_compress_some(c, &pass);
			cond_resched();
			/* Its file waits for us. */
			if (READ_ONCE(ps->going))
				err = -ENODEV;
			/* Who is to be frozen begins again later. */
			if (signal_pending(current))
				err = -ERESTARTSYS;
		}
		pack_end(&c->pack);
		mutex_unlock(&c->lock);
	}
	/* Another CPU may be about to bring it up to date. */
	atomic64_add(READ_ONCE(current->se.sum_exec_runtime) - before, &c->ns);
	return err;
}

/**
 * ps_compress_setup() - prepare a device for compression
 * @ps: the device, new, with its slots
 *
 * Context: process context, may sleep.
 * Return: 0 or -ENOMEM.
 */
int ps_compress_setup(struct pmemswap *ps)
{
	struct ps_compress *c = kzalloc(sizeof(*c), GFP_KERNEL);

	if (!c)
		return -ENOMEM;
	c->ps = ps;
	mutex_init(&c->lock);
	init_waitqueue_head(&c->wake);
	c->mode = PS_COMPRESS_OFF;
	c->level = zstd_default_clevel();
	c->cold_age_ms = 60000;
	c->cpu_percent = 20;
	raw_spin_lock_init(&c->pack.lock);
	c->pack.addr = ps->tier->addr;
	c->pack.nr_pool = ps->tier->nr_pages;
	c->pack.wipe = ps->tier->wipe_free;
	c->pack.slots = ps->slots;
	c->pack.nr_slots = ps->nr_slots;
	c->pack.tail = PACK_NONE;
	c->pack.read = read_pmem;
	c->pack.good = good_page;
	c->pack.get = get_page_of_pool;
	c->pack.put = put_page_of_pool;
	ps->compress = c;
	lay_over(ps);
	return 0;
}

/**
 * ps_compress_end() - no more compression
 * @ps: the device, which has no files in sysfs any more
 *
 * Context: process context, may sleep.
 */
void ps_compress_end(struct pmemswap *ps)
{
	struct ps_compress *c = ps->compress;

	if (c->task) {
		kthread_stop(c->task);
		put_task_struct(c->task);
		c->task = NULL;
	}
	account(c, -(long)c->bytes);
}

/**
 * ps_compress_free() - undo ps_compress_setup()
 * @ps: the device, whose slots are empty
 *
 * Context: process context, may sleep.
 */
void ps_compress_free(struct pmemswap *ps)
{
	struct ps_compress *c = ps->compress;

	if (!c)
		return;
	free_memory(c);
	kfree(c);
}
