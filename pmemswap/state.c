// SPDX-License-Identifier: GPL-2.0-only
/*
 * debugfs: pmemswap/pmemswapN/block_state, a line for each slot that holds data.
 */

#include <linux/debugfs.h>
#include <linux/jiffies.h>
#include <linux/seq_file.h>

#include "compress.h"
#include "pmemswap.h"

static struct dentry *top;

static const char kind_letters[] = {
	[SLOT_EMPTY] = '.',
	[SLOT_RAW] = 'r',
	[SLOT_SAME] = 's',
	[SLOT_LENT] = 'l',
	[SLOT_PACKED] = 'c',
	[SLOT_SHARED] = 'L',
	[SLOT_MOVING] = 'm',
	[SLOT_LEAVING] = 'o',
};

static void *next_used(struct pmemswap *ps, loff_t *pos)
{
	for (; *pos < ps->nr_slots; ++*pos) {
		if (slot_kind(slot_get(&ps->slots[*pos])) != SLOT_EMPTY)
			return &ps->slots[*pos];
		if (*pos % 4096 == 0)
			cond_resched();
	}
	return NULL;
}

static void *state_start(struct seq_file *m, loff_t *pos)
{
	return next_used(m->private, pos);
}

static void *state_next(struct seq_file *m, void *v, loff_t *pos)
{
	++*pos;
	return next_used(m->private, pos);
}

static void state_stop(struct seq_file *m, void *v)
{
}

static int state_show(struct seq_file *m, void *v)
{
	struct pmemswap *ps = m->private;
	struct slot *slot = v;
	unsigned long word = slot_get(slot);
	enum slot_kind kind = slot_kind(word);
	unsigned long long pfn = ps->tier->first_pfn + slot_page(word);
	unsigned int bytes = PAGE_SIZE, at = 0;

	seq_printf(m, "%lu ", (unsigned long)(slot - ps->slots));
	if (kind == SLOT_RAW)
		seq_printf(m, "%u ",
			   jiffies_to_msecs(slot_age(word, ps_stamp()) <<
					    PS_STAMP_SHIFT));
	else
		seq_puts(m, "- ");
	seq_printf(m, "%c%c%c ", kind_letters[kind],
		   kind == SLOT_RAW && word & SLOT_CLAIMED ? 'w' : '.',
		   kind == SLOT_RAW && word & SLOT_TRIED ? 'h' : '.');
	if (kind == SLOT_PACKED) {
		const struct pack_where w = pack_where(word);

		bytes = w.bytes;
		at = w.at * PACK_GRANULE;
	}
	if (kind == SLOT_EMPTY || kind == SLOT_SAME)
		seq_puts(m, "0 - -\n");
	else
		seq_printf(m, "%u %llu %u\n", bytes, pfn, at);
	return 0;
}

static const struct seq_operations block_state_sops = {
	.start = state_start,
	.next = state_next,
	.stop = state_stop,
	.show = state_show,
};
DEFINE_SEQ_ATTRIBUTE(block_state);

/**
 * ps_state_add() - make the files of a device
 * @ps: the device
 *
 * Context: process context, may sleep.
 */
void ps_state_add(struct pmemswap *ps)
{
	struct dentry *dir = debugfs_create_dir(ps->disk->disk_name, top);

	debugfs_create_file("block_state", 0400, dir, ps, &block_state_fops);
}

/**
 * ps_state_del() - remove them
 * @ps: the device
 *
 * Context: process context, may sleep: nobody reads them when it returns.
 */
void ps_state_del(struct pmemswap *ps)
{
	debugfs_lookup_and_remove(ps->disk->disk_name, top);
}

/**
 * ps_state_init() - make the directory
 *
 * Context: process context, may sleep. Whether it works matters to nobody.
 */
void ps_state_init(void)
{
	top = debugfs_create_dir("pmemswap", NULL);
}

/**
 * ps_state_exit() - remove it
 *
 * Context: process context, may sleep; no device is left.
 */
void ps_state_exit(void)
{
	debugfs_remove(top);
}
