#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# vm: --mem 768M --nvdimm 128M --disk 600M
# timeout: 900
# Pages that are in use all the time move to DRAM, charged to whom they belong; others stay.

# shellcheck source-path=SCRIPTDIR
# shellcheck disable=SC2317 # cases_done calls them
. "$(dirname "$0")/../lib/cachex.sh"

need_namespaces 1
need_disk

file_memory() { awk '$1 == "file" { print int($2 / 4096) }' "$CG/memory.stat"; }

# set_up FS: a file in pmem, and promotion on. What was read before isn't looked at.
set_up()
{
	if [[ $1 == bdev ]]; then
		FS=bdev
		cachex "bdev:$(majmin "$DISK")"
		# the last one who closes it drops its page cache
		exec {DISK_FD}<"$DISK"
	else
		fs_on "$1"
		cachex "$(fs_number)"
	fi
	grep -q '^cachex_promote: on' "$TIER/features" || skip "this kernel can't: $(<"$TIER/features")"
	file_in_pmem
	num "pages in pmem" "$(cx stored_pages)" -ge $((PAGES * 9 / 10))
	num "charged to the cgroup" "$(file_memory)" -lt $((PAGES / 4))
	BEFORE=$(sectors_read)
	_write $CX/promote_pages_per_second 100000
}

# used FIRST COUNT: as everybody does it who uses it, not the owner
used() { dd if="$FILE" bs=4096 skip="$1" count="$2" status=none | cmp - <(dd if="$REF" bs=4096 skip="$1" count="$2" status=none) || fail "wrong data"; }

# at_least N FIRST COUNT: they are used until so many are promoted
at_least()
{
	used "$2" "$3"
	(( $(cx promoted) >= $1 ))
}

finish()
{
	used 0 $PAGES
	same "sectors read" "$(($(sectors_read) - BEFORE))" 0
	if [[ $FS == bdev ]]; then
		_write $CX/enabled 0
		exec {DISK_FD}<&-
	else
		fs_off
	fi
	loop_until 5 is 0 cx stored_pages
	rmmod pmem_cachex
	loop_until 5 idle "$BIG"
	[[ $FS == bdev ]] && return
	fs_check
	mount -t "$FS" "$DISK" "$MNT"
	used 0 $PAGES
	fs_off
}

hot()
{
	local stored others

	set_up "$1"
	stored=$(cx stored_pages)
	# of a block device there may be some of what was there before
	others=$(( stored > PAGES ? stored - PAGES : 0 ))
	[[ $FS == bdev ]] || same "other pages in pmem" "$others" 0
	loop_until 300 at_least $((stored - others)) 0 $PAGES
	num "pages in pmem" "$(cx stored_pages)" -le "$others"
	# to the one who read it first
	num "charged to the cgroup" "$(file_memory)" -ge $((PAGES * 9 / 10))
	finish
}

# Written in DRAM, and evicted once more
written_then()
{
	set_up "$1"
	loop_until 300 at_least $((PAGES * 9 / 10)) 0 $PAGES
	head -c 1000000 /dev/urandom >/tmp/piece
	dd if=/tmp/piece of="$FILE" bs=64k seek=5000 oflag=seek_bytes conv=notrunc status=none
	dd if=/tmp/piece of="$REF" bs=64k seek=5000 oflag=seek_bytes conv=notrunc status=none
	used 0 $PAGES
	sync
	_write $CX/promote_pages_per_second 0
	reclaim
	num "pages in pmem" "$(cx stored_pages)" -ge $((PAGES * 9 / 10))
	finish
}

# Dirty in pmem: they move once they are clean
dirty()
{
	set_up "$1"
	_write $CX/promote_pages_per_second 0
	xfs_io -c 'mmap 0 4m' -c 'mwrite -S 0x11 0 4m' "$FILE"
	xfs_io -c 'mmap 0 4m' -c 'mwrite -S 0x11 0 4m' "$REF"
	_write $CX/promote_pages_per_second 100000
	used 0 $PAGES
	sync
	loop_until 300 at_least $((PAGES * 9 / 10)) 0 $PAGES
	finish
}

half()
{
	set_up ext4
	loop_until 300 at_least $((PAGES * 4 / 10)) 0 $((PAGES / 2))
	num "the other half" "$(cx stored_pages)" -ge $((PAGES * 4 / 10))
	num "promoted" "$(cx promoted)" -le $((PAGES / 2))
	finish
}

# Through one mapping that stays
mapped()
{
	local args=() i

	set_up "$1"
	for (( i = 0; i < 5000; i++ )); do
		args+=(-c 'mread 0 4m')
	done
	xfs_io -r -c 'mmap -r 0 4m' "${args[@]}" "$FILE" >/dev/null &
	PID=$!
	at_exit eval "kill -9 $PID 2>/dev/null || :"
	loop_until 300 promoted_some
	kill $PID
	wait $PID || :
	finish
}
promoted_some() { (( $(cx promoted) >= PAGES * 9 / 10 )); }

# Its cgroup has room for a part
limit()
{
	set_up ext4
	echo 3M >"$CG/memory.max"
	loop_until 300 at_least 300 0 $PAGES
	# It is looked at until nothing moves any more
	loop_until 300 no_more
	num "charged to the cgroup" "$(file_memory)" -le 768
	num "promoted" "$(cx promoted)" -le 768
	same "killed" "$(cg_event "$CG" oom_kill)" 0
	same "failed charges" "$(cg_event "$CG" max)" 0
	finish
}

no_more()
{
	local before

	before=$(cx promoted)
	loop_until 60 more_hits $(($(cx hits) + 2 * PAGES / 4))
	(( $(cx promoted) == before ))
}
more_hits() { used 0 $PAGES; (( $(cx hits) >= $1 )); }

# Whose cgroup is gone is nobody's: it stays. The other file shows that there were looks enough.
orphaned()
{
	local orphans

	fs_on ext4
	cachex "$(fs_number)"
	file_in_pmem
	cg_remove "$CG"
	orphans=$(cx stored_pages)
	num "pages in pmem" "$orphans" -ge $((PAGES * 9 / 10))
	BEFORE=$(sectors_read)
	_write $CX/promote_pages_per_second 100000
	# twice the looks that suffice
	loop_until 300 more_hits $((orphans * 6))
	same "promoted" "$(cx promoted)" 0
	same "pages in pmem" "$(cx stored_pages)" "$orphans"
	finish
}

off()
{
	local stored

	set_up ext4
	_write $CX/promote_pages_per_second 0
	stored=$(cx stored_pages)
	used 0 $PAGES
	used 0 $PAGES
	refuses $CX/promote_pages_per_second -1
	refuses $CX/promote_pages_per_second many
	refuses $CX/promote_pages_per_second 1048577
	same "promote_pages_per_second" "$(cx promote_pages_per_second)" 0
	same "pages in pmem" "$(cx stored_pages)" "$stored"
	same "promoted" "$(cx promoted)" 0
	finish
}

for fs in ext4 xfs btrfs bdev; do case_ "$fs: hot pages move" hot $fs; done
for fs in ext4 xfs btrfs; do case_ "$fs: written and evicted again" written_then $fs; done
for fs in ext4 xfs; do case_ "$fs: dirty ones move once they are clean" dirty $fs; done
for fs in ext4 xfs; do case_ "$fs: used through a mapping" mapped $fs; done
case_ 'only what is hot moves' half
case_ 'a cgroup has room for a part' limit
case_ 'a cgroup that is gone' orphaned
case_ 'off' off
cases_done
