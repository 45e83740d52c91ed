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

# pages_out COUNT: puppet a's file, for loop_until. xfs's large folios may be unmapped and stay, on the stock
# kernel as well, and what isn't mapped isn't paged out.
pages_out()
{
	tell a verify a
	tell a pageout a
	(( $(cx stored_pages) >= $1 ))
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

# Locked memory: not evicted, but it can't keep anybody from dropping it either
locked()
{
	local before

	fs_on "$1"
	cachex "$(fs_number)"
	limited f max
	before=$(meminfo Mlocked)
	puppet a "$CG"
	tell a mapfile a 4M "$MNT/map"
	tell a fill a 1 random
	sync
	loop_until 60 pages_out 900
	tell a verify a
	tell a lock a
	reclaim
	tell a verify a
	tell a fill a 2 random 0 100
	same "enabled=0" "$(writing $CX/enabled 0)" 0
	same "pages in pmem" "$(cx stored_pages)" 0
	tell a verify a
	_write $CX/enabled 1
	tell a unlock a
	sync
	loop_until 60 pages_out 900
	tell a lock a
	tell a verify a
	puppets_end
	loop_until 5 is "$before" meminfo Mlocked
	fs_check
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
	# pmem_tier, which nobody uses now, can't go along
	modprobe -r pmem_cachex
	! loaded pmem_cachex
	fails 'in use' rmmod pmem_tier
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
	rmmod pmem_tier
}

# ... and nobody can move them for one who wants to pin them for long
pin_alone()
{
	modprobe rdma_rxe 2>/dev/null || skip 'this kernel has no rdma_rxe'
	at_exit modprobe -r rdma_rxe
	hold pipe 8 16
	same "holder" "$HELD" held
	rmmod pmem_cachex
	REPLY=$("$PROGS/filehold" rdma "$FILE" 8 16 </dev/null) || :
	[[ $REPLY != none ]] || skip 'no RDMA device'
	same "long-term pin" "$REPLY" 'refused EBUSY'
	same "cache_pages" "$(tier_stat "$BIG" cache_pages)" 16
	let_go
}

# How the namespace comes back once nobody has its failed pages in his memory any more: asked for ...
unbinds() { same "unbind" "$(tier_unbind "$BIG")" 0; }

# ... or with the module
unloads() { [[ $("$PROGS/call" delete_module pmem_tier) == 0 ]]; }
unloads_soon() { loop_until 30 unloads; }

# mapped FS: a file that puppet a has mapped, with all its pages in pmem. Sets FILE.
mapped()
{
	FS=$1
	if [[ $FS == bdev ]]; then
		FILE=$DISK
		cachex "bdev:$(majmin "$DISK")"
	else
		fs_on "$FS"
		FILE=$MNT/map
		cachex "$(fs_number)"
	fi
	puppet a
	tell a mapfile a 1M "$FILE"
	tell a fill a 1 random
	sync
	loop_until 60 pages_out 256
	tell a verify a
}

# unmapped [HOW]: nobody has it any more, and the namespace comes back
unmapped()
{
	puppets_end
	"${1:-unbinds}"
	[[ $FS == bdev ]] || fs_check
}

# poisoned FS HOW
# A page fails: a clean one comes back from the disk, a dirty one is lost, and who cares is told.
# Block devices and vfat can't let go of a dirty one: it goes when it has been written.
poisoned()
{
	local pid

	mapped "$1"
	pid=$(puppet_pid a)
	tell a poison a 3 1
	same "poison" "$REPLY" 0
	tell a verify a
	loop_until 5 is 1 tier_stat "$BIG" bad_pages
	tell a fill a 2 random 5 1
	tell a poison a 5 1
	tell a survey a
	same "pages intact, unreadable, wrong" "$REPLY" '255 1 0'
	fails 'Input/output error' sync "$FILE"
	loop_until 5 is 2 tier_stat "$BIG" bad_pages
	# what is left in its page table names a page of the namespace, which smaps looks at
	rmmod pmem_cachex
	log_mark
	same "unbind" "$(tier_unbind "$BIG")" EBUSY
	log_since | grep -q "in use: process $pid has failed pages" || fail "$(log_since)"
	# ... at once, as the module does
	same "unloading pmem_tier" "$("$PROGS/call" delete_module pmem_tier)" EAGAIN
	same "state of pmem_tier" "$(</sys/module/pmem_tier/initstate)" live
	cat "/proc/$pid/smaps" >/dev/null
	unmapped "$2"
}

# A clean page that is in a pipe fails: all others have it from the disk, where the filesystem can let go
# of a page that somebody holds; or when he doesn't any more. It isn't used again.
poisoned_in_pipe()
{
	mapped "$1"
	hold pipe 8 16
	same "holder" "$HELD" held
	tell a poison a 8 1
	# or who handled a machine check would take it out of the direct map, which is where the holder reads it
	same "poison" "$REPLY" ENXIO
	if [[ $1 == @(bdev|vfat) ]]; then
		tell a survey a
		same "pages intact, unreadable, wrong" "$REPLY" '255 1 0'
	else
		tell a verify a
	fi
	same "drop" "$(writing $CX/drop 1)" EBUSY
	same "pages in pmem" "$(cx stored_pages)" 16
	same "bad pages" "$(tier_stat "$BIG" bad_pages)" 0
	let_go
	loop_until 5 is 1 tier_stat "$BIG" bad_pages
	tell a verify a
	unmapped
}

# The same without pmem_cachex: it stays as it is until that is there again
poisoned_alone()
{
	mapped "$1"
	hold pipe 8 16
	same "holder" "$HELD" held
	rmmod pmem_cachex
	same "cache_pages" "$(tier_stat "$BIG" cache_pages)" 16
	tell a verify a
	tell a poison a 8 1
	same "poison" "$REPLY" ENXIO
	tell a verify a
	same "cache_pages" "$(tier_stat "$BIG" cache_pages)" 16
	modprobe pmem_cachex
	let_go
	loop_until 5 is 1 tier_stat "$BIG" bad_pages
	tell a verify a
	unmapped
}

# Much of the disk, and all of its metadata, in pmem. First out of DRAM: what the journal keeps goes
# the second time.
read_device()
{
	echo 3 >/proc/sys/vm/drop_caches
	echo 3 >/proc/sys/vm/drop_caches
	cg_run "$CG" dd if="$DISK" bs=1M count=100 of=/dev/null status=none
	reclaim
	num "pages in pmem" "$(cx stored_pages)" -ge 20000
}

# files NAME: new ones in each directory
files()
{
	local i

	for i in "$MNT"/d*/; do
		printf '%s\n' {1..100} | split -l 1 - "$i$1"
	done
}

# What the journal keeps after it has written all there is: it counts what could be let go of per
# CPU, and is not asked about the last few until it commits something else or is unmounted.
drop_but_few()
{
	sync
	echo 2 >/proc/sys/vm/drop_caches
	echo "drop: $(writing $CX/drop 1)"
	num "pages in pmem" "$(cx stored_pages)" -le 100
}

# Metadata of a mounted filesystem. What its journal keeps can't be dropped, but all goes well with it.
metadata()
{
	fs_on ext4 -N 20000
	# no commits but those of sync
	mount -o remount,commit=600 "$MNT"
	cachex "bdev:$(majmin "$DISK")"
	limited f max
	mkdir "$MNT"/d{1..20}
	files a
	sync
	read_device
	# looked at: each CPU keeps some of the buffers for the next time
	echo 2 >/proc/sys/vm/drop_caches
	ls -lR "$MNT" >/dev/null
	# some may still be the journal's, of the files
	[[ $(writing $CX/enabled 0) == @(0|EBUSY) ]]
	drop_but_few
	_write $CX/enabled 1
	# changed: they are the journal's
	read_device
	files b
	same "enabled=0" "$(writing $CX/enabled 0)" EBUSY
	num "pages in pmem" "$(cx stored_pages)" -gt 0
	num "pages in pmem" "$(cx stored_pages)" -le 1000
	files c
	rm "$MNT"/d*/a*
	drop_but_few
	_write $CX/enabled 1
	read_device
	files d
	echo "drop: $(writing $CX/drop 1), $(cx stored_pages) pages are left"
	fs_off
	loop_until 5 is 0 cx stored_pages
	fs_check
	mount -t ext4 "$DISK" "$MNT"
	same "files" "$(cat "$MNT"/d*/[a-d]* | sort -n | uniq -c | awk '{ n[$1]++ } END { print n[60], length(n) }')" '100 1'
	fs_off
}

case_ 'metadata of a mounted filesystem' metadata
case_ 'a page fails, ext4' poisoned ext4 unbinds
case_ 'a page fails, xfs' poisoned xfs unloads_soon
case_ 'a page fails, vfat' poisoned vfat unbinds
case_ 'a page fails, block device' poisoned bdev unbinds
for fs in ext4 xfs vfat bdev; do case_ "a page in a pipe fails, $fs" poisoned_in_pipe $fs; done
case_ 'a page in a pipe fails, and the module is gone' poisoned_alone ext4
case_ 'long-term pin: clean, ext4' on ext4 long_pin 0 64
case_ 'long-term pin: dirty, ext4' on ext4 long_pin 0 64 dirty
case_ 'long-term pin: being written back, ext4' on ext4 pin_after_write
case_ 'long-term pin: clean, xfs' on xfs long_pin 0 64
case_ 'long-term pin: dirty, xfs' on xfs long_pin 0 64 dirty
case_ 'long-term pin: dirty, btrfs' on btrfs long_pin 0 64 dirty
case_ 'locked, ext4' locked ext4
case_ 'locked, xfs' locked xfs
case_ 'in a pipe' on ext4 piped
case_ 'in a pipe while the module goes' on ext4 module_gone
case_ 'long-term pin, the module is gone' on ext4 pin_alone
cases_done
