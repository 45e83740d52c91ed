#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# vm: --mem 768M --nvdimm 128M --disk 600M
# timeout: 900
# allow-log: MCE: Killing puppet:[0-9]+ due to hardware memory corruption fault
# Pages that somebody holds: long-term pins, locked memory, pipes. The data stays right, and all comes back.

# shellcheck source-path=SCRIPTDIR
# shellcheck disable=SC2317 # cases_done calls them
. "$(dirname "$0")/../lib/cachex.sh"

need_namespaces 1
need_disk

on()
{
	FS=$1
	fs_on "$FS"
	cachex "$(fs_number)"
	file_in_pmem
	num "pages in pmem" "$(cx stored_pages)" -ge $((PAGES * 9 / 10))
	"${@:2}"
	cp "$FILE" /tmp/is
	fs_check
	mount -t "$FS" "$DISK" "$MNT"
	cmp "$FILE" /tmp/is
	rm /tmp/is
	fs_off
}

# hold KIND PAGE COUNT [dirty]: sets HOLD_PID, HELD (what it said)
hold()
{
	coproc HOLD { exec "$PROGS/filehold" "$1" "$FILE" "${@:2}"; }
	HOLD_IN=${HOLD[1]}
	read -r HELD <&"${HOLD[0]}"
}

let_go()
{
	eval "exec $HOLD_IN>&-"
	wait "$HOLD_PID"
}

# Pinned in pmem it can't be: it comes back in DRAM, with what was written to it
long_pin()
{
	local before

	modprobe rdma_rxe 2>/dev/null || skip 'this kernel has no rdma_rxe'
	at_exit modprobe -r rdma_rxe
	before=$(cx stored_pages)
	hold rdma "$@"
	[[ $HELD != none ]] || skip 'no RDMA device'
	same "holder" "$HELD" held
	num "pages in pmem" "$(cx stored_pages)" -le $((before - $2))
	reclaim
	sync
	_write $CX/drop 1
	same "pages in pmem" "$(cx stored_pages)" 0
	let_go
}

# Dirty for some time already: under writeback, with buffers
pin_after_write()
{
	dd if=/dev/urandom of="$FILE" bs=4096 seek=100 count=64 conv=notrunc status=none
	sync_file_range 2>/dev/null || sync -d "$FILE" &
	long_pin 100 64
	wait
}

# In a pipe: drop leaves it, and says so
piped()
{
	hold pipe 8 16
	same "holder" "$HELD" held
	same "drop" "$(writing $CX/drop 1)" EBUSY
	same "pages in pmem" "$(cx stored_pages)" 16
	same "unbind" "$(writing "$ND/drivers/pmem_tier/unbind" "$BIG")" EBUSY
	# still there, still working
	evict
	num "pages in pmem" "$(cx stored_pages)" -ge $((PAGES * 9 / 10))
	same "enabled=0" "$(writing $CX/enabled 0)" EBUSY
	same "pages in pmem" "$(cx stored_pages)" 16
	let_go
	_write $CX/drop 1
	same "pages in pmem" "$(cx stored_pages)" 0
}

# The module goes; the pages stay in the page cache until they are let go of
module_gone()
{
	hold pipe 8 16
	same "holder" "$HELD" held
	rmmod pmem_cachex
	same "cache_pages" "$(tier_stat "$BIG" cache_pages)" 16
	same "unbind" "$(writing "$ND/drivers/pmem_tier/unbind" "$BIG")" EBUSY
	cmp "$FILE" "$REF"
	# it takes them over again
	modprobe pmem_cachex targets="$(fs_number)"
	same "pages in pmem" "$(cx stored_pages)" 16
	rmmod pmem_cachex
	let_go
	cmp "$FILE" "$REF"
	truncate -s 0 "$FILE"
	idle "$BIG"
}

# A page fails: a clean one comes back from the disk, a dirty one is lost, and who cares is told
poisoned()
{
	fs_on "$1"
	cachex "$(fs_number)"
	puppet a
	tell a mapfile a 1M "$MNT/map"
	tell a fill a 1 random
	sync
	tell a pageout a
	tell a verify a
	num "pages in pmem" "$(cx stored_pages)" -ge 200
	tell a poison a 3 1
	same "poison" "$REPLY" 0
	tell a verify a
	loop_until 5 same "bad_pages" "$(tier_stat "$BIG" bad_pages)" 1
	tell a fill a 2 random 5 1
	tell a poison a 5 1
	tell a survey a
	same "pages intact, unreadable, wrong" "$REPLY" '255 1 0'
	fails 'Input/output error' sync "$MNT/map"
	puppets_end
	fs_check
	loop_until 5 same "bad_pages" "$(tier_stat "$BIG" bad_pages)" 2
}

case_ 'a page fails, ext4' poisoned ext4
case_ 'a page fails, xfs' poisoned xfs
case_ 'long-term pin: clean, ext4' on ext4 long_pin 0 64
case_ 'long-term pin: dirty, ext4' on ext4 long_pin 0 64 dirty
case_ 'long-term pin: being written back, ext4' on ext4 pin_after_write
case_ 'long-term pin: clean, xfs' on xfs long_pin 0 64
case_ 'long-term pin: dirty, xfs' on xfs long_pin 0 64 dirty
case_ 'long-term pin: dirty, btrfs' on btrfs long_pin 0 64 dirty
case_ 'in a pipe' on ext4 piped
case_ 'in a pipe while the module goes' on ext4 module_gone
cases_done
