#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# vm: --mem 768M --nvdimm 128M --disk 600M
# timeout: 600
# The disk fails the writes of dirty pages that are to leave pmem: nothing hangs, all pages come back to
# the pool, and it is fsync that says so.

# shellcheck source-path=SCRIPTDIR
# shellcheck disable=SC2317 # cases_done calls them
. "$(dirname "$0")/../lib/cachex.sh"

need_namespaces 1
need_disk

# Dirty pages stay so until somebody wants them to be written, and nothing else is
quiet()
{
	push /proc/sys/vm/dirty_writeback_centisecs 0
	if [[ $FS == bdev ]]; then
		# or its page cache would go
		exec {OPEN}<"$DISK"
		return
	fi
	fs_on "$FS"
	case $FS in
	ext4)	mount -o remount,commit=600 "$MNT" ;;
	xfs)	push /proc/sys/fs/xfs/xfssyncd_centisecs 720000 ;;
	esac
}

# left PATH VALUE: writing that has nothing left to do, now or when it is done again
left() { [[ $(writing "$1" "$2") == 0 && $(tier_stat "$BIG" cache_pages) == 0 ]]; }

# What the disk doesn't take makes pages clean in the end
dropped() { left $CX/drop 1; }
turned_off() { left $CX/enabled 0; }
unbound() { [[ $(tier_unbind "$BIG") == 0 ]]; }

# failing FS HOW
failing()
{
	FS=$1
	dm_disk
	quiet
	if [[ $FS == bdev ]]; then
		cachex "bdev:$(majmin "$DISK")"
	else
		cachex "$(fs_number)"
	fi
	file_in_pmem
	num "pages in pmem" "$(cx stored_pages)" -ge $((PAGES * 9 / 10))
	dd if=/dev/urandom of="$FILE" bs=4096 seek=100 count=200 conv=notrunc status=none
	dm_becomes flakey '0 1000 1 error_writes'
	loop_until 60 "$2"
	dm_becomes linear
	# an error that nobody has been told of: once
	fails 'Input/output error' sync "$FILE"
	sync "$FILE"
	head -c $((PAGES * 4096)) "$FILE" | cmp - "$REF"
	if [[ $FS == bdev ]]; then
		exec {OPEN}<&-
	else
		fs_check
	fi
}

for fs in ext4 xfs bdev; do
	for how in dropped turned_off unbound; do
		case_ "$fs, $how" failing $fs $how
	done
done
cases_done
