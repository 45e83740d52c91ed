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
	loop_until 10 is 0 each xfs stored_pages
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
	loop_until 10 is 0 each "$fs" stored_pages
}

directories() { find $CX/target_stats -mindepth 1 -type d | wc -l; }

# Sets 31 targets beside those of this filesystem
others() { _write $CX/targets "$(echo "$1":{1..31} "$2")"; }

# again: as file_in_pmem, with what it left
again()
{
	cp "$REF" "$FILE"
	sync
	echo 3 >/proc/sys/vm/drop_caches
	evict
}

# There is room for 127: those that are no target any more and have no page go first
many()
{
	local fs puts all i

	fs_on ext4
	fs=$(fs_number)
	cachex "$fs"
	file_in_pmem
	puts=$(each "$fs" puts)
	all=$(cx puts)
	num "puts" "$puts" -ge $((PAGES * 9 / 10))
	for i in {101..106}; do
		others "$i" xfs
		same "targets" "$(cx targets)" "$(echo "$i":{1..31} xfs)"
		same "puts of the last" "$(each "$i:31" puts)" 0
	done
	same "directories" "$(directories)" 127
	# Its pages are still there
	same "puts" "$(each "$fs" puts)" "$puts"
	same "puts of all" "$(cx puts)" "$all"
	rm "$FILE"
	loop_until 10 is 0 each "$fs" stored_pages
	for i in {107..111}; do
		others "$i" xfs
	done
	[[ ! -d $CX/target_stats/$fs ]] || fail "$fs is still there"
	_write $CX/targets "$fs"
	same "puts" "$(each "$fs" puts)" 0
	same "stored_pages" "$(each "$fs" stored_pages)" 0
	same "puts of all" "$(cx puts)" "$all"
	same "directories" "$(directories)" 127
	refuses $CX/targets "$(echo 8:{1..33})" 'Argument list too long'
	# What it is given again is counted again
	again
	puts=$(each "$fs" puts)
	num "puts" "$puts" -ge $((PAGES * 9 / 10))
	same "puts of all" "$(cx puts)" $((all + puts))
	fs_off
}

# A type is met, its module goes and comes back, and another filesystem is there in between
reloaded()
{
	local puts

	fs_on xfs
	cachex xfs
	file_in_pmem
	puts=$(each xfs puts)
	num "puts" "$puts" -ge $((PAGES * 9 / 10))
	fs_off
	rmmod xfs || skip 'xfs is no module'
	fs_on ext4
	again
	same "puts" "$(cx puts)" "$puts"
	num "rejected_target" "$(cx rejected_target)" -ge $((PAGES * 9 / 10))
	fs_off
	fs_on xfs
	again
	num "puts" "$(each xfs puts)" -ge $((puts + PAGES * 9 / 10))
	fs_off
	loop_until 10 is 0 each xfs stored_pages
}

# A target may have the name of a counter
names()
{
	cachex ext4
	rmmod pmem_cachex
	modprobe pmem_cachex targets=puts,enabled
	same "puts" "$(each puts puts)" 0
}

case_ 'two targets' two
case_ 'a target that goes and comes back' stay
case_ 'many targets' many
case_ 'a filesystem whose module goes' reloaded
case_ 'targets named like counters' names
cases_done
