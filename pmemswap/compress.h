/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Compressed slots: what a device has for them.
 */
#ifndef _PMEMSWAP_COMPRESS_H
#define _PMEMSWAP_COMPRESS_H

#include <linux/mutex.h>
#include <linux/wait.h>
#include <linux/zstd.h>

#include "pack.h"

struct pmemswap;

/**
 * enum ps_compress_mode - which slots are compressed in the background
 * @PS_COMPRESS_OFF: none
 * @PS_COMPRESS_COLD: cold ones, while few pages of the pool are free
 * @PS_COMPRESS_ALWAYS: cold ones
 */
enum ps_compress_mode {
	PS_COMPRESS_OFF,
	PS_COMPRESS_COLD,
	PS_COMPRESS_ALWAYS,
};

/**
 * enum ps_compress_result - what came of an attempt
 * @PS_COMPRESS_PACKED: the slot is a packed one
 * @PS_COMPRESS_SAME: it is a same-filled one: it was written to while it was lent
 * @PS_COMPRESS_USELESS: not worth it; not tried again before it is rewritten
 * @PS_COMPRESS_LOST: it was freed, rewritten, read or mapped meanwhile
 * @PS_COMPRESS_MEDIA: it can't be read
 */
enum ps_compress_result {
	PS_COMPRESS_PACKED,
	PS_COMPRESS_SAME,
	PS_COMPRESS_USELESS,
	PS_COMPRESS_LOST,
	PS_COMPRESS_MEDIA,
};

/**
 * struct ps_pass - a walk through the slot table
 * @at: slot where it goes on
 * @min_age: slots that were touched less long ago are left alone; in units of ps_stamp()
 * @oldest: how long ago the first of those was touched
 */
struct ps_pass {
	unsigned long at;
	unsigned long min_age;
	unsigned long oldest;
};

/**
 * struct ps_compress - compression of a device
 * @ps: the device
 * @pack: where compressed data lies
 * @lock: one at a time compresses; protects what follows, but for what says otherwise.
 *	Nothing that page-out or page-in wait for takes it
 * @task: does so in the background; since compression was first wanted. Goes with the
 *	device, so it can be read by whoever has that
 * @wake: what it waits for
 * @kicked: there is something new; any context
 * @mode: enum ps_compress_mode; any context
 * @level: of zstd
 * @cold_age_ms: for how long a cold slot hasn't been touched; any context
 * @cpu_percent: how much of one CPU @task may use; any context
 * @params: for @cctx
 * @cctx: compresses
 * @workspace: its memory
 * @raw: a page of data
 * @object: what it becomes
 * @pass: @task's
 * @next_pass: when, in jiffies; @task's, as is what follows
 * @hurry: passes in a row that have left the device full
 * @ran: its CPU time when it was last looked at
 * @owed: CPU time that it has used and not yet made up for
 * @ns: CPU time that was used on request
 * @bytes: memory for all this, and of that @workspace
 * @workspace_bytes: memory for @workspace
 */
struct ps_compress {
	struct pmemswap *ps;
	struct pack pack;
	struct mutex lock;	/* see above */
	struct task_struct *task;
	wait_queue_head_t wake;
	bool kicked;
	int mode;
	int level;
	unsigned int cold_age_ms;
	unsigned int cpu_percent;
	zstd_parameters params;
	zstd_cctx *cctx;
	void *workspace;
	void *raw;
	void *object;
	struct ps_pass pass;
	unsigned long next_pass;
	unsigned int hurry;
	u64 ran;
	u64 owed;
	atomic64_t ns;
	size_t bytes;
	size_t workspace_bytes;
};

/* Work between two looks at whether others want the CPU, or the lock. */
#define PS_SLICE_NS		(5 * NSEC_PER_MSEC)

/* The magic number of zstd isn't stored: where it was, a header ends. */
#define PS_MAGIC_BYTES		sizeof(u32)
#define PS_FRAME_AT		(sizeof(struct pack_header) - PS_MAGIC_BYTES)

/* compress.c */
int ps_compress_setup(struct pmemswap *ps);
void ps_compress_end(struct pmemswap *ps);
void ps_compress_free(struct pmemswap *ps);
int ps_compress_set_mode(struct pmemswap *ps, int mode);
int ps_compress_set_level(struct pmemswap *ps, int level);
bool ps_compress_some(struct ps_compress *c, struct ps_pass *pass);
int ps_compress_now(struct pmemswap *ps);
void ps_packed_drop(struct pmemswap *ps, unsigned long word);

/* background.c */
void ps_compress_kick(struct pmemswap *ps);
void ps_compress_changed(struct pmemswap *ps);
u64 ps_compress_cpu_ns(struct pmemswap *ps);
int ps_compress_thread(void *data);

/* unpack.c */
int ps_unpack_prepare(void);
void ps_unpack_exit(void);
int ps_unpack(struct pmemswap *ps, unsigned long index, void *dst);

/* state.c */
void ps_state_init(void);
void ps_state_exit(void);
void ps_state_add(struct pmemswap *ps);
void ps_state_del(struct pmemswap *ps);

#endif /* _PMEMSWAP_COMPRESS_H */
