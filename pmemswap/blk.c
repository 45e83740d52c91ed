// SPDX-License-Identifier: GPL-2.0-only
/*
 * The block device: bios, swap notifications, open and release.
 */

#include <linux/bio.h>
#include <linux/highmem.h>
#include <linux/mempool.h>
#include <linux/fdtable.h>
#include <linux/sched.h>

#include "pmemswap.h"

#define SLOT_SECTORS_SHIFT	(PAGE_SHIFT - SECTOR_SHIFT)
#define RESCHED_SEGMENTS	256

/*
 * Blocks whose bytes aren't in one piece in memory go through a page from
 * here. Swap and the page cache never need it, O_DIRECT with an odd buffer does.
 */
static mempool_t *bounce_pool;

/**
 * ps_bounce_init() - set up the pool of bounce pages
 *
 * Context: process context, may sleep.
 * Return: 0 or -ENOMEM.
 */
int ps_bounce_init(void)
{
	bounce_pool = mempool_create_page_pool(2, 0);
	return bounce_pool ? 0 : -ENOMEM;
}

/**
 * ps_bounce_exit() - free the pool of bounce pages
 *
 * Context: process context, may sleep.
 */
void ps_bounce_exit(void)
{
	mempool_destroy(bounce_pool);
}

/*
 * One segment of a bio that is less than a block, or odd in memory. Blocks come
 * in order, so the bounce page is filled from the first to the last byte and
 * then stored; or loaded at the first byte and handed out.
 */
static blk_status_t bounce_segment(struct pmemswap *ps, struct bio_vec *bv,
				   sector_t sector, void *bounce, bool write)
{
	unsigned long index = sector >> SLOT_SECTORS_SHIFT;
	unsigned int offset = (sector << SECTOR_SHIFT) & ~PAGE_MASK;
	unsigned int done = 0;
	blk_status_t status = BLK_STS_OK;
	void *mem = bvec_kmap_local(bv);

	while (done < bv->bv_len && !status) {
		unsigned int len = min_t(unsigned int, bv->bv_len - done,
					 PAGE_SIZE - offset);

		if (write) {
			memcpy(bounce + offset, mem + done, len);
			if (offset + len == PAGE_SIZE)
				status = ps_store(ps, index, bounce);
		} else {
			if (!offset)
				status = ps_load(ps, index, bounce);
			/* The bounce page holds something old. */
			if (status)
				break;
			memcpy(mem + done, bounce + offset, len);
		}
		done += len;
		offset = 0;
		index++;
	}
	kunmap_local(mem);
	return status;
}

static __always_inline blk_status_t
whole_segment(struct pmemswap *ps, struct bio_vec *bv, sector_t sector,
	      bool write)
{
	unsigned long index = sector >> SLOT_SECTORS_SHIFT;
	void *mem = bvec_kmap_local(bv);
	blk_status_t status = write ? ps_store(ps, index, mem) :
				      ps_load(ps, index, mem);

	kunmap_local(mem);
	return status;
}

static bool is_whole(const struct bio_vec *bv, sector_t sector)
{
	return bv->bv_len == PAGE_SIZE &&
	       !(sector & (BIT(SLOT_SECTORS_SHIFT) - 1));
}

/* Every submitter there is asks for the logical block size. */
static bool is_aligned(const struct bio *bio)
{
	return !((bio->bi_iter.bi_sector | bio_sectors(bio)) &
		 (BIT(SLOT_SECTORS_SHIFT) - 1));
}

static noinline blk_status_t submit_segments(struct pmemswap *ps,
					     struct bio *bio, bool write)
{
	blk_status_t status = BLK_STS_OK;
	struct page *bounce = NULL;
	struct bvec_iter iter;
	struct bio_vec bv;
	unsigned int n = 0;

	if (!is_aligned(bio))
		return BLK_STS_IOERR;
	bio_for_each_segment(bv, bio, iter) {
		/* O_DIRECT from huge pages can be hundreds of MiB. */
		if (!(++n % RESCHED_SEGMENTS))
			cond_resched();
		if (is_whole(&bv, iter.bi_sector)) {
			status = whole_segment(ps, &bv, iter.bi_sector, write);
		} else {
			/* Doesn't fail: it waits for another bio's page. */
			if (!bounce)
				bounce = mempool_alloc(bounce_pool, GFP_NOIO);
			status = bounce_segment(ps, &bv, iter.bi_sector,
						page_address(bounce), write);
		}
		if (status)
			break;
	}
	if (bounce)
		mempool_free(bounce, bounce_pool);
	return status;
}

/*
 * Page-in, and page-out of a small folio: one block in one page. It is looked for in
 * the bio as it is; bio_iter_iovec() would take as long as all the rest.
 */
static __always_inline bool is_one_page(const struct bio *bio)
{
	const struct bio_vec *bv = bio->bi_io_vec + bio->bi_iter.bi_idx;

	return bio->bi_iter.bi_size == PAGE_SIZE && !bio->bi_iter.bi_bvec_done &&
	       !bv->bv_offset && is_whole(bv, bio->bi_iter.bi_sector);
}

static __always_inline blk_status_t submit_rw(struct pmemswap *ps,
					      struct bio *bio, bool write)
{
	if (likely(is_one_page(bio)))
		return whole_segment(ps, bio->bi_io_vec + bio->bi_iter.bi_idx,
				     bio->bi_iter.bi_sector, write);
	return submit_segments(ps, bio, write);
}

static blk_status_t submit_clear(struct pmemswap *ps, struct bio *bio)
{
	unsigned long index = bio->bi_iter.bi_sector >> SLOT_SECTORS_SHIFT;
	unsigned long end = bio_end_sector(bio) >> SLOT_SECTORS_SHIFT;

	if (!is_aligned(bio))
		return BLK_STS_IOERR;
	for (; index < end; index++) {
		if (bio_op(bio) == REQ_OP_WRITE_ZEROES)
			ps_zero(ps, index);
		else if (ps_empty(ps, index))
			ps_count(ps, PS_DISCARDED, 1);
		cond_resched();
	}
	return BLK_STS_OK;
}

static __always_inline void submit(struct pmemswap *ps, struct bio *bio)
{
	switch (bio_op(bio)) {
	case REQ_OP_READ:
		bio->bi_status = submit_rw(ps, bio, false);
		break;
	case REQ_OP_WRITE:
		bio->bi_status = submit_rw(ps, bio, true);
		break;
	case REQ_OP_DISCARD:
	case REQ_OP_WRITE_ZEROES:
		bio->bi_status = submit_clear(ps, bio);
		break;
	default:
		bio->bi_status = BLK_STS_NOTSUPP;
	}
}

/* Beside submit(), so that those who don't account don't pay in saved registers. */
static noinline void submit_accounted(struct pmemswap *ps, struct bio *bio)
{
	unsigned long start = bio_start_io_acct(bio);

	submit(ps, bio);
	bio_end_io_acct(bio, start);
	bio_endio(bio);
}

static void ps_submit_bio(struct bio *bio)
{
	struct pmemswap *ps = bio->bi_bdev->bd_disk->private_data;

	if (blk_queue_io_stat(ps->disk->queue)) {
		submit_accounted(ps, bio);
		return;
	}
	submit(ps, bio);
	bio_endio(bio);
}

static int ps_open(struct gendisk *disk, blk_mode_t mode)
{
	struct pmemswap *ps = disk->private_data;

	lockdep_assert_held(&disk->open_mutex);
	if (ps->closing)
		return -ENXIO;
	/* Under the lock: the look for users either sees this one, or comes before. */
	return pmem_tier_hibernating() ? -EBUSY : 0;
}

/* Is it this file, and is the caller's file descriptor all there is of it? */
static int is_own_file(const void *mapping, struct file *file, unsigned int fd)
{
	return file->f_mapping == mapping && file_count(file) == 1;
}

/**
 * ps_in_use() - does anybody use the device?
 * @ps: the device
 *
 * The one who asks may have it open, once, for nothing in particular: "ndctl
 * disable-namespace" opens the disk below a namespace exclusively, and holds it
 * while it writes to unbind, to keep others out.
 *
 * Context: process context, under disk->open_mutex.
 * Return: true when it is a swap device, mounted, or open in another process.
 */
bool ps_in_use(struct pmemswap *ps)
{
	struct block_device *bdev = ps->disk->part0;
	int openers = disk_openers(ps->disk);

	lockdep_assert_held(&ps->disk->open_mutex);
	if (!openers)
		return false;
	return openers > 1 ||
	       !iterate_fd(current->files, 0, is_own_file, bdev->bd_mapping);
}

static void ps_release(struct gendisk *disk)
{
	pmem_tier_idle();
}

static void ps_free_disk(struct gendisk *disk)
{
	ps_device_free(disk->private_data);
}

const struct block_device_operations ps_fops = {
	.owner = THIS_MODULE,
	.submit_bio = ps_submit_bio,
	.swap_slot_free_notify = ps_swap_slot_free_notify,
	.open = ps_open,
	.release = ps_release,
	.free_disk = ps_free_disk,
};
