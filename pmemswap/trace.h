/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Tracepoints of pmemswap: events/pmemswap/ in tracefs.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM pmemswap

#if !defined(_PMEMSWAP_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define _PMEMSWAP_TRACE_H

#include <linux/tracepoint.h>

/*
 * Names of enum ps_fallback: what is here is in sysfs, too, as fallback_<name>.
 */
#define PS_FALLBACK_NAMES						\
	{ PS_FALLBACK_OFF,	"off" },				\
	{ PS_FALLBACK_VMA,	"vma" },				\
	{ PS_FALLBACK_PIN,	"pin" },				\
	{ PS_FALLBACK_SHARED,	"shared" },				\
	{ PS_FALLBACK_CACHED,	"cached" },				\
	{ PS_FALLBACK_FILLED,	"filled" },				\
	{ PS_FALLBACK_PACKED,	"packed" },				\
	{ PS_FALLBACK_SWAPOFF,	"swapoff" },				\
	{ PS_FALLBACK_MEDIA,	"media" },				\
	{ PS_FALLBACK_RACE,	"race" }

/* A fault was served by mapping @nr pages. */
TRACE_EVENT(map_in,
	TP_PROTO(int device, unsigned long slot, unsigned long address,
		 unsigned int nr, bool write),
	TP_ARGS(device, slot, address, nr, write),
	TP_STRUCT__entry(
		__field(int, device)
		__field(unsigned int, nr)
		__field(unsigned long, slot)
		__field(unsigned long, address)
		__field(bool, write)
	),
	TP_fast_assign(
		__entry->device = device;
		__entry->nr = nr;
		__entry->slot = slot;
		__entry->address = address;
		__entry->write = write;
	),
	TP_printk("pmemswap%d slot=%lu address=%#lx nr=%u write=%d",
		  __entry->device, __entry->slot, __entry->address,
		  __entry->nr, __entry->write)
);

/* A fault is left to the kernel, which copies; but with reason=race nothing is left to do. */
TRACE_EVENT(map_fallback,
	TP_PROTO(int device, unsigned long slot, unsigned long address,
		 unsigned int reason),
	TP_ARGS(device, slot, address, reason),
	TP_STRUCT__entry(
		__field(int, device)
		__field(unsigned int, reason)
		__field(unsigned long, slot)
		__field(unsigned long, address)
	),
	TP_fast_assign(
		__entry->device = device;
		__entry->reason = reason;
		__entry->slot = slot;
		__entry->address = address;
	),
	TP_printk("pmemswap%d slot=%lu address=%#lx reason=%s",
		  __entry->device, __entry->slot, __entry->address,
		  __print_symbolic(__entry->reason, PS_FALLBACK_NAMES))
);

/* mm has returned a lent page; an orphan has no slot any more. */
TRACE_EVENT(take_back,
	TP_PROTO(int device, unsigned long page, unsigned long slot,
		 bool orphan),
	TP_ARGS(device, page, slot, orphan),
	TP_STRUCT__entry(
		__field(int, device)
		__field(bool, orphan)
		__field(unsigned long, page)
		__field(unsigned long, slot)
	),
	TP_fast_assign(
		__entry->device = device;
		__entry->orphan = orphan;
		__entry->page = page;
		__entry->slot = slot;
	),
	TP_printk("pmemswap%d page=%lu slot=%lu orphan=%d", __entry->device,
		  __entry->page, __entry->slot, __entry->orphan)
);

/* A walk that moves lent pages to DRAM is over. */
TRACE_EVENT(drain,
	TP_PROTO(int device, unsigned long moved, unsigned long left),
	TP_ARGS(device, moved, left),
	TP_STRUCT__entry(
		__field(int, device)
		__field(unsigned long, moved)
		__field(unsigned long, left)
	),
	TP_fast_assign(
		__entry->device = device;
		__entry->moved = moved;
		__entry->left = left;
	),
	TP_printk("pmemswap%d moved=%lu left=%lu", __entry->device,
		  __entry->moved, __entry->left)
);

/* Pages around @address were swapped out in place. */
TRACE_EVENT(unlend,
	TP_PROTO(int device, unsigned long address, unsigned int nr),
	TP_ARGS(device, address, nr),
	TP_STRUCT__entry(
		__field(int, device)
		__field(unsigned int, nr)
		__field(unsigned long, address)
	),
	TP_fast_assign(
		__entry->device = device;
		__entry->nr = nr;
		__entry->address = address;
	),
	TP_printk("pmemswap%d address=%#lx nr=%u", __entry->device,
		  __entry->address, __entry->nr)
);

/* Upkeep moved pages to DRAM: hot ones, and such that were wanted back. */
TRACE_EVENT(upkeep,
	TP_PROTO(int device, unsigned long promoted, unsigned long taken_back),
	TP_ARGS(device, promoted, taken_back),
	TP_STRUCT__entry(
		__field(int, device)
		__field(unsigned long, promoted)
		__field(unsigned long, taken_back)
	),
	TP_fast_assign(
		__entry->device = device;
		__entry->promoted = promoted;
		__entry->taken_back = taken_back;
	),
	TP_printk("pmemswap%d promoted=%lu taken_back=%lu", __entry->device,
		  __entry->promoted, __entry->taken_back)
);

/* A page was written to a slot; @error is the block layer's status, 0 is good. */
TRACE_EVENT(slot_write,
	TP_PROTO(int device, unsigned long slot, bool same_filled, int error),
	TP_ARGS(device, slot, same_filled, error),
	TP_STRUCT__entry(
		__field(int, device)
		__field(int, error)
		__field(unsigned long, slot)
		__field(bool, same_filled)
	),
	TP_fast_assign(
		__entry->device = device;
		__entry->error = error;
		__entry->slot = slot;
		__entry->same_filled = same_filled;
	),
	TP_printk("pmemswap%d slot=%lu same_filled=%d error=%d",
		  __entry->device, __entry->slot, __entry->same_filled,
		  __entry->error)
);

#define PS_COMPRESS_RESULTS						\
	{ PS_COMPRESS_PACKED,	"packed" },				\
	{ PS_COMPRESS_SAME,	"same" },				\
	{ PS_COMPRESS_USELESS,	"useless" },				\
	{ PS_COMPRESS_LOST,	"lost" },				\
	{ PS_COMPRESS_MEDIA,	"media" }

/* A raw slot was to be compressed. */
TRACE_EVENT(compress,
	TP_PROTO(int device, unsigned long slot, unsigned int result),
	TP_ARGS(device, slot, result),
	TP_STRUCT__entry(
		__field(int, device)
		__field(unsigned int, result)
		__field(unsigned long, slot)
	),
	TP_fast_assign(
		__entry->device = device;
		__entry->result = result;
		__entry->slot = slot;
	),
	TP_printk("pmemswap%d slot=%lu result=%s", __entry->device,
		  __entry->slot,
		  __print_symbolic(__entry->result, PS_COMPRESS_RESULTS))
);

/* Compressed data moved, so that a page with gaps became free. */
TRACE_EVENT(pack_clean,
	TP_PROTO(int device, unsigned int moved),
	TP_ARGS(device, moved),
	TP_STRUCT__entry(
		__field(int, device)
		__field(unsigned int, moved)
	),
	TP_fast_assign(
		__entry->device = device;
		__entry->moved = moved;
	),
	TP_printk("pmemswap%d moved=%u", __entry->device, __entry->moved)
);

#endif /* _PMEMSWAP_TRACE_H */

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
