#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# vm: --mem 768M --nvdimm 128M --disk 600M
# timeout: 300
# Each target has counters of its own, and they add up.

# shellcheck source-path=SCRIPTDIR
# shellcheck disable=SC2317 # cases_done calls them
. "$(dirname "$0")/../lib/cachex.sh"

need_namespaces 1
need_disk

each() { cat "$CX/target_stats/$1/$2"; }

# A second filesystem, on a file; sets LOOP
loop_on()
{
	modprobe loop || skip 'needs loop devices'
	truncate -s 400M "$MNT/image"
	LOOP=$(losetup --show -f --direct-io=on "$MNT/image")
	at_exit loop_off
	mkfs.xfs -q "$LOOP"
	mkdir -p /tmp/loop
	mount "$LOOP" /tmp/loop
}

loop_off()
{
	! mountpoint -q /tmp/loop || umount /tmp/loop
	[[ ! $LOOP ]] || losetup -d "$LOOP"
	LOOP=''
}

sum()
{
	local dir sum=0

	for dir in "$CX"/target_stats/*/; do
		sum=$((sum + $(<"$dir/$1")))
	done
	same "sum of $1" "$sum" "$(cx "$1")"
}

two()
{
	local stat ours

	fs_on ext4
	loop_on
	cachex "$(fs_number) xfs"
	file_in_pmem
	ours=$(each "$(fs_number)" puts)
	num "puts" "$ours" -ge $((PAGES * 9 / 10))
	# its cgroup pays for both
	cg_run "$CG" cp "$REF" /tmp/loop/file
	sync
	FILE=/tmp/loop/file
	evict
	num "puts" "$(each xfs puts)" -ge $((PAGES * 9 / 10))
	num "puts" "$(each "$(fs_number)" puts)" -lt $((ours + 200))
	for stat in stored_pages puts hits reclaimed promoted rejected_page; do
		sum $stat
	done
	cmp "$FILE" "$REF"
	rm "$FILE"
	loop_until 10 same "stored_pages" "$(each xfs stored_pages)" 0
	num "hits" "$(each xfs hits)" -ge $((PAGES * 9 / 10))
	num "stored_pages" "$(each "$(fs_number)" stored_pages)" -gt 0
	sum hits
	sum stored_pages
	loop_off
	fs_off
}

# They outlive the target, and come back with it
stay()
{
	local puts fs

	fs_on ext4
	fs=$(fs_number)
	cachex "$fs"
	file_in_pmem
	puts=$(each "$fs" puts)
	num "puts" "$puts" -ge $((PAGES * 9 / 10))
	_write $CX/targets ''
	same "puts" "$(each "$fs" puts)" "$puts"
	_write $CX/targets "xfs $fs"
	same "puts" "$(each "$fs" puts)" "$puts"
	same "puts" "$(each xfs puts)" 0
	num "stored_pages" "$(each "$fs" stored_pages)" -ge $((PAGES * 9 / 10))
	fs_off
	loop_until 10 same "stored_pages" "$(each "$fs" stored_pages)" 0
}

# There is room for 63 in the life of the module
too_many()
{
	cachex ext4
	_write $CX/targets "$(echo 8:{1..31} ext4)"
	_write $CX/targets "$(echo 9:{1..31} ext4)"
	_write $CX/targets "$(echo 8:{1..31} ext4)"
	_write $CX/targets "$(echo 9:{1..31} ext4)"
	same "directories" "$(find $CX/target_stats -mindepth 1 -type d | wc -l)" 63
	refuses $CX/targets 'ext4 9:32' 'Argument list too long'
	same "targets" "$(cx targets)" "$(echo 9:{1..31} ext4)"
	# Names of what is there already don't matter
	_write $CX/targets 'ext4'
	rmmod pmem_cachex
	modprobe pmem_cachex targets=puts,enabled
	same "puts" "$(each puts puts)" 0
}

case_ 'two targets' two
case_ 'a target that goes and comes back' stay
case_ 'too many targets' too_many
cases_done
