/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Tracepoints of pmem_cachex: events/pmem_cachex/ in tracefs.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM pmem_cachex

#if !defined(_PMEM_CACHEX_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define _PMEM_CACHEX_TRACE_H

#include <linux/fs.h>
#include <linux/tracepoint.h>

/* Names of enum cx_reject: in sysfs they are rejected_<name>. */
#define CX_REJECT_NAMES							\
	{ CX_REJECT_TARGET,	"target" },				\
	{ CX_REJECT_ENCRYPTED,	"encrypted" },				\
	{ CX_REJECT_DAX,	"dax" },				\
	{ CX_REJECT_SWAPFILE,	"swapfile" },				\
	{ CX_REJECT_KIND,	"kind" },				\
	{ CX_REJECT_PAGE,	"page" },				\
	{ CX_REJECT_ADMISSION,	"admission" },				\
	{ CX_REJECT_LIMIT,	"limit" },				\
	{ CX_REJECT_FULL,	"full" },				\
	{ CX_REJECT_MEMORY,	"memory" }

/* Of @nr pages that are evicted, @stored went to pmem. */
TRACE_EVENT(put,
	TP_PROTO(const struct inode *inode, unsigned long index,
		 unsigned long nr, unsigned long stored),
	TP_ARGS(inode, index, nr, stored),
	TP_STRUCT__entry(
		__field(dev_t, dev)
		__field(unsigned long, ino)
		__field(unsigned long, index)
		__field(unsigned long, nr)
		__field(unsigned long, stored)
	),
	TP_fast_assign(
		__entry->dev = inode->i_sb->s_dev;
		__entry->ino = inode->i_ino;
		__entry->index = index;
		__entry->nr = nr;
		__entry->stored = stored;
	),
	TP_printk("%d:%d ino=%lu index=%lu nr=%lu stored=%lu",
		  MAJOR(__entry->dev), MINOR(__entry->dev), __entry->ino,
		  __entry->index, __entry->nr, __entry->stored)
);

/* Pages are evicted as ever. */
TRACE_EVENT(reject,
	TP_PROTO(const struct inode *inode, unsigned long index,
		 unsigned long nr, unsigned int reason),
	TP_ARGS(inode, index, nr, reason),
	TP_STRUCT__entry(
		__field(dev_t, dev)
		__field(unsigned int, reason)
		__field(unsigned long, ino)
		__field(unsigned long, index)
		__field(unsigned long, nr)
	),
	TP_fast_assign(
		__entry->dev = inode->i_sb->s_dev;
		__entry->reason = reason;
		__entry->ino = inode->i_ino;
		__entry->index = index;
		__entry->nr = nr;
	),
	TP_printk("%d:%d ino=%lu index=%lu nr=%lu reason=%s",
		  MAJOR(__entry->dev), MINOR(__entry->dev), __entry->ino,
		  __entry->index, __entry->nr,
		  __print_symbolic(__entry->reason, CX_REJECT_NAMES))
);

/* A round of reclaim is over. */
TRACE_EVENT(reclaim,
	TP_PROTO(const char *tier, unsigned long dropped, unsigned long free),
	TP_ARGS(tier, dropped, free),
	TP_STRUCT__entry(
		__string(tier, tier)
		__field(unsigned long, dropped)
		__field(unsigned long, free)
	),
	TP_fast_assign(
		__assign_str(tier);
		__entry->dropped = dropped;
		__entry->free = free;
	),
	TP_printk("%s dropped=%lu free=%lu", __get_str(tier),
		  __entry->dropped, __entry->free)
);

/* Hot pages have moved to DRAM. */
TRACE_EVENT(promote,
	TP_PROTO(const char *tier, unsigned long nr),
	TP_ARGS(tier, nr),
	TP_STRUCT__entry(
		__string(tier, tier)
		__field(unsigned long, nr)
	),
	TP_fast_assign(
		__assign_str(tier);
		__entry->nr = nr;
	),
	TP_printk("%s nr=%lu", __get_str(tier), __entry->nr)
);

#endif /* _PMEM_CACHEX_TRACE_H */

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
