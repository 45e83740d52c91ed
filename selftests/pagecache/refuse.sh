#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# vm: --mem 768M --nvdimm 128M --disk 600M
# timeout: 900
# What must not be taken isn't, and what the operator sets holds.

# shellcheck source-path=SCRIPTDIR
# shellcheck disable=SC2317 # cases_done calls them
. "$(dirname "$0")/../lib/cachex.sh"

need_namespaces 1
need_disk

# on TARGETS: a filesystem and its file, read and evicted
on()
{
	fs_on ext4
	cachex "$1"
	file_in_pmem
}

taken() { num "pages in pmem" "$(cx stored_pages)" -ge $((PAGES * 9 / 10)); }

# not_taken REASON: nothing was, and that is why
not_taken()
{
	same "puts" "$(cx puts)" 0
	num "rejected_$1" "$(cx "rejected_$1")" -ge $((PAGES * 9 / 10))
}

no_target() { on ''; not_taken target; }
other_target() { on 'xfs btrfs 8:0 bdev:8:0'; not_taken target; }
not_its_bdev() { on "bdev:$(majmin "$DISK")"; cmp "$FILE" "$REF"; num "rejected_target" "$(cx rejected_target)" -ge $((PAGES * 9 / 10)); }
by_type()
{
	on 'xfs,ext4'
	taken
	# some of it may be the root's
	fs_off
	_write $CX/enabled 0
}


by_device() { on "$(majmin "$DISK")"; taken; }

target_words()
{
	local w

	cachex 'ext4, xfs 8:16	bdev:259:3'
	same "targets" "$(cx targets)" 'ext4 xfs 8:16 bdev:259:3'
	for w in 'ext4 /dev/vda' 'bdev:ext4' '8:' '8:1:2' '8: 1' '+8:0' '4294967304:0' 'bdev:8:4294967296' '4096:0' 'EXT4' '*' \
		aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa; do
		refuses $CX/targets "$w"
	done
	refuses $CX/targets "$(for w in {1..33}; do echo -n "8:$w "; done)" 'Argument list too long'
	_write $CX/targets ''
	same "targets" "$(cx targets)" ''
}

other_words()
{
	cachex ''
	refuses $CX/enabled 2
	refuses $CX/admission some
	refuses $CX/max_pages -1
	refuses $CX/max_pages many
	refuses $CX/admit_free_percent 101
	refuses $CX/admit_free_percent -1
	refuses $CX/drop 0
	rmmod pmem_cachex
	fails 'Invalid argument' modprobe pmem_cachex targets=/dev/vda
	! loaded pmem_cachex
	modprobe pmem_cachex targets=ext4,8:1
	same "targets" "$(cx targets)" 'ext4 8:1'
}

# Data in the journal: files as all others, but their buffers are the journal's
journalled()
{
	fs_on ext4
	fs_off
	mount -t ext4 -o data=journal "$DISK" "$MNT"
	cachex "$(fs_number)"
	file_in_pmem
	not_taken kind
	cmp "$FILE" "$REF"
}

encrypted()
{
	fs_on ext4 -O encrypt
	cachex "$(fs_number)"
	mkdir "$MNT/dir"
	"$PROGS/fscrypt" "$MNT/dir" || skip 'this kernel has no fscrypt'
	_write $CX/drop 1
	limited f max
	head -c $((PAGES * 4096)) /dev/urandom >"$REF"
	at_exit rm -f "$REF"
	FILE=$MNT/dir/file
	cp "$REF" "$FILE"
	sync
	echo 3 >/proc/sys/vm/drop_caches
	evict
	not_taken encrypted
	cmp "$FILE" "$REF"
}

swapfile()
{
	fs_on ext4
	cachex "$(fs_number)"
	FILE=$MNT/swap
	dd if=/dev/zero of="$FILE" bs=4k count=$PAGES status=none
	chmod 600 "$FILE"
	mkswap -q "$FILE"
	cp "$FILE" "$REF"
	sync
	echo 3 >/proc/sys/vm/drop_caches
	swapon "$FILE"
	at_exit swap_file_off
	limited f max
	evict
	not_taken swapfile
	swapoff "$FILE"
}

swap_file_off() { ! grep -q "^$FILE " /proc/swaps || swapoff "$FILE"; }

off()
{
	fs_on ext4
	cachex "$(fs_number)"
	_write $CX/admission off
	file_in_pmem
	not_taken admission
	_write $CX/admission all
	_write $CX/enabled 0
	evict
	same "puts" "$(cx puts)" 0
	_write $CX/enabled 1
	evict
	taken
}

limit()
{
	fs_on ext4
	cachex "$(fs_number)"
	_write $CX/max_pages 300
	file_in_pmem
	num "pages in pmem" "$(cx stored_pages)" -ge 250
	num "pages in pmem" "$(cx stored_pages)" -le $((300 + 16 * $(nproc) + 64))
	num "rejected_limit" "$(cx rejected_limit)" -gt 0
	cmp "$FILE" "$REF"
}

# Only what is evicted a second time
reuse()
{
	fs_on ext4
	cachex "$(fs_number)"
	_write $CX/admission reuse
	_write $CX/admit_free_percent 100
	file_in_pmem
	num "puts the first time" "$(cx puts)" -le $((PAGES / 20))
	evict
	taken
	# a scan leaves it alone
	dd if=/dev/zero of="$MNT/scan" bs=1M count=100 status=none
	sync
	cg_run "$CG" cat "$MNT/scan" >/dev/null
	reclaim
	num "puts" "$(cx puts)" -le $((PAGES + 25600 / 20))
	cmp "$FILE" "$REF"
}

# Without evidence for as long as there is room: then not
room()
{
	local total

	fs_on ext4
	modprobe pmem_tier claim="$BIG"
	total=$(tier_stat "$BIG" total_pages)
	cachex "$(fs_number)"
	_write $CX/admission reuse
	same "admit_free_percent" "$(cx admit_free_percent)" 10
	file_in_pmem
	taken
	# its cgroup pays for it
	cg_run "$CG" dd if=/dev/zero of="$MNT/scan" bs=1M count=200 status=none
	sync
	reclaim
	num "free pages" "$(tier_stat "$BIG" free_pages)" -ge $((total / 12))
	num "puts" "$(cx puts)" -ge $((total * 8 / 10))
	num "rejected_admission" "$(cx rejected_admission)" -ge $((51200 - total))
	cmp "$FILE" "$REF"
}

# The cache leaves the reserve alone, and cold pages make room for others
reserve()
{
	local total reserve

	fs_on ext4
	modprobe pmem_tier claim="$BIG"
	total=$(tier_stat "$BIG" total_pages)
	reserve=$((total - 4000))
	_write "$TIER/$BIG/reserve_pages" $reserve
	cachex ext4
	dd if=/dev/urandom of="$MNT/big" bs=1M count=60 status=none
	sha1sum <"$MNT/big" >/tmp/sum
	sync
	echo 3 >/proc/sys/vm/drop_caches
	limited f 20M
	for _ in 1 2 3; do
		cg_run "$CG" sha1sum <"$MNT/big" | cmp - /tmp/sum
	done
	num "free pages" "$(tier_stat "$BIG" free_pages)" -ge $reserve
	num "puts" "$(cx puts)" -gt 4000
	num "reclaimed" "$(cx reclaimed)" -gt 0
	num "cache_pages" "$(tier_stat "$BIG" cache_pages)" -le 4000
}

# All of it is the reserve
full()
{
	fs_on ext4
	modprobe pmem_tier claim="$BIG"
	_write "$TIER/$BIG/reserve_pages" "$(tier_stat "$BIG" total_pages)"
	cachex ext4
	file_in_pmem
	not_taken full
	cmp "$FILE" "$REF"
}

# Without its hooks the data wouldn't be safe
tracing_stays()
{
	fs_on ext4
	cachex "$(fs_number)"
	same "kernel.ftrace_enabled=0" "$(writing /proc/sys/kernel/ftrace_enabled 0)" EBUSY
	file_in_pmem
	taken
	fs_off
	rmmod pmem_cachex
	modprobe -r pmem_tier
	same "kernel.ftrace_enabled=0" "$(writing /proc/sys/kernel/ftrace_enabled 0)" 0
	_write /proc/sys/kernel/ftrace_enabled 1
}

# That is swap's, and there is none
tmpfs()
{
	fs_on ext4
	cachex tmpfs
	umount "$MNT"
	mount -t tmpfs tmpfs "$MNT"
	limited f max
	cg_run "$CG" dd if=/dev/urandom of="$MNT/file" bs=1M count=4 status=none
	reclaim
	same "puts" "$(cx puts)" 0
}

# A symbolic link's page is no file's
symlinks()
{
	local i long

	fs_on btrfs
	cachex "$(fs_number)"
	limited f max
	printf -v long '%0200d' 0
	for i in {1..300}; do
		ln -s "$long$i" "$MNT/link$i"
		echo "$long$i"
	done >/tmp/links
	at_exit rm /tmp/links
	sync
	echo 3 >/proc/sys/vm/drop_caches
	for i in 1 2; do
		cg_run "$CG" readlink "$MNT"/link{1..300} | cmp - /tmp/links
		reclaim
	done
	same "puts" "$(cx puts)" 0
	num "rejected_kind" "$(cx rejected_kind)" -ge 300
}

# What can't be read isn't up to date
unreadable()
{
	local start=$((8 << 20)) len=$((128 << 10)) dm=/dev/mapper/broken fd

	need dmsetup
	modprobe dm_mod
	head -c $((PAGES * 4096 * 4)) /dev/urandom >"$REF"
	at_exit rm -f "$REF" /tmp/is
	dd if="$REF" of="$DISK" bs=1M conv=notrunc,fsync status=none
	dmsetup create broken --noudevsync <<-END
	0 $((start / 512)) linear $DISK 0
	$((start / 512)) $((len / 512)) error
	$(((start + len) / 512)) $(((start - len) / 512)) linear $DISK $(((start + len) / 512))
	END
	at_exit dmsetup remove --noudevsync broken
	[[ -b $dm ]] || dmsetup mknodes broken
	cachex "bdev:$(majmin $dm)"
	exec {fd}<$dm
	limited f max
	cg_run "$CG" dd if=$dm of=/tmp/is bs=4k conv=noerror,sync status=none 2>/dev/null || :
	reclaim
	num "rejected_page" "$(cx rejected_page)" -ge 1
	num "puts" "$(cx puts)" -ge $(((2 * start - len) * 9 / 10 / 4096))
	num "puts" "$(cx puts)" -le $(((2 * start - len) / 4096))
	# from pmem, but for that part
	fails 'Input/output error' dd if=$dm of=/dev/null bs=4k skip=$((start / 4096)) count=1
	cmp -n $start $dm "$REF"
	cmp -i $((start + len)) -n $((start - len)) $dm "$REF"
	exec {fd}<&-
}

# churn NUMBER: files that come and go
churn()
{
	local i

	for i in {1..12}; do
		cp "$REF" "$MNT/churn$1.$i"
		sync -d "$MNT/churn$1.$i"
		cmp "$MNT/churn$1.$i" "$REF"
		cmp "$MNT/churn$1.$i" "$REF"
		rm "$MNT/churn$1.$i"
	done
}

# Deleted while it is evicted, a file leaves nothing in pmem
torn_down()
{
	local i pids=()

	fs_on "$1"
	cachex "$(fs_number)"
	squeezed f 12M
	head -c $((PAGES * 4096)) /dev/urandom >"$REF"
	at_exit rm -f "$REF"
	for i in 1 2 3; do
		( echo "$BASHPID" >"$CG/cgroup.procs"; churn "$i" ) &
		pids+=($!)
	done
	while kill -0 "${pids[@]}" 2>/dev/null; do
		echo 4M >"$CG/memory.reclaim" || :
	done 2>/dev/null
	for i in "${pids[@]}"; do
		wait "$i"
	done
	num "puts" "$(cx puts)" -ge $PAGES
	# btrfs frees its inodes when it has committed
	sync "$MNT"
	loop_until 10 is 0 cx stored_pages
	fs_check
}

# Small files must not keep their inodes in memory
small_files()
{
	local i

	fs_on ext4 -N 5000
	cachex "$(fs_number)"
	limited f max
	mkdir "$MNT/d"
	for i in {1..2000}; do
		echo "$i" >"$MNT/d/$i"
	done
	sync
	echo 3 >/proc/sys/vm/drop_caches
	cg_run "$CG" cat "$MNT"/d/* >/tmp/all
	reclaim
	num "pages in pmem" "$(cx stored_pages)" -ge 1800
	# what inodes, too, are freed by
	echo 2 >/proc/sys/vm/drop_caches
	num "small_dropped" "$(cx small_dropped)" -ge 1800
	num "pages in pmem" "$(cx stored_pages)" -le 200
	cat "$MNT"/d/* | cmp - /tmp/all
	# a large one stays
	dd if=/dev/urandom of="$MNT/large" bs=1M count=4 status=none
	sync
	echo 3 >/proc/sys/vm/drop_caches
	cg_run "$CG" cat "$MNT/large" >/dev/null
	reclaim
	echo 2 >/proc/sys/vm/drop_caches
	taken
}

# small_on_disk: 5000 files of a page each in $MNT/d, none in memory; their names in /tmp/list
small_on_disk()
{
	local i

	fs_on ext4 -N 10000
	cachex "$(fs_number)"
	mkdir "$MNT/d"
	for (( i = 0; i < 5000; i++ )); do
		echo "$i" >"$MNT/d/$i"
	done
	find "$MNT/d" -type f >/tmp/list
	at_exit rm -f /tmp/list /tmp/all
	sync
	echo 3 >/proc/sys/vm/drop_caches
}

cg_kernel() { awk '$1 == "kernel" { print $2 }' "$CG/memory.stat"; }

# cg_kernel_below BYTES: to ask brings mm's statistics up to date, when they are far from it
cg_kernel_below() { (( $(cg_kernel) < $1 )); }

# Their inodes are charged to a cgroup whose own reclaim can't free them while their pages are in pmem
small_files_limited()
{
	local rejected stored

	small_on_disk
	limited l 20M
	# Some are stored
	head -n 500 /tmp/list | cg_run "$CG" xargs cat >/tmp/all
	reclaim
	num "pages in pmem" "$(cx stored_pages)" -gt 450
	# Not all are: no more than takes an eighth of the limit
	cg_run "$CG" xargs -n 500 -a /tmp/list cat >/tmp/all
	reclaim
	num "lines" "$(wc -l </tmp/all)" -eq 5000
	num "rejected_memory" "$(cx rejected_memory)" -gt 1500
	num "pages in pmem" "$(cx stored_pages)" -lt 3000
	same "killed" "$(cg_event "$CG" oom_kill)" 0
	# Pages of large files keep little
	dd if=/dev/urandom of="$MNT/large" bs=1M count=8 status=none
	sync
	echo 3 >/proc/sys/vm/drop_caches
	loop_until 10 cg_kernel_below $((1 << 20))
	stored=$(cx stored_pages)
	cg_run "$CG" cat "$MNT/large" >/dev/null
	reclaim
	num "pages in pmem" "$(cx stored_pages)" -gt $(( stored + 1800 ))
	# A cgroup without a limit isn't concerned
	echo max >"$CG/memory.max"
	echo 3 >/proc/sys/vm/drop_caches
	cg_run "$CG" xargs -n 500 -a /tmp/list cat | cmp - /tmp/all
	rejected=$(cx rejected_memory) stored=$(cx stored_pages)
	reclaim
	same "rejected_memory" "$(cx rejected_memory)" "$rejected"
	num "pages in pmem" "$(cx stored_pages)" -gt $(( stored + 3500 ))
}

# Those that read them are gone, and what they had is charged to one above them that is limited
small_files_below()
{
	local list

	small_on_disk
	split -l 500 /tmp/list /tmp/list.
	limited l 32M
	echo +memory >"$CG/cgroup.subtree_control"
	for list in /tmp/list.*; do
		mkdir "$CG/below"
		cg_run "$CG/below" xargs -a "$list" cat
		cg_remove "$CG/below"
		rm "$list"
	done >/tmp/all
	num "lines" "$(wc -l </tmp/all)" -eq 5000
	# mm's statistics are up to date then
	num "kernel" "$(cg_kernel)" -gt $((5000 * 1000))
	reclaim
	num "rejected_memory" "$(cx rejected_memory)" -gt 4000
	num "pages in pmem" "$(cx stored_pages)" -lt 1000
}

# numbers: 3400 times 36 KiB, no two of its pages alike
numbers() { seq 10000000 $(( 9999999 + 3400 * (36 << 10) / 9 )); }

# Files that aren't small: a pool that is several times the limit could hold enough of them to fill it with inodes
many_files_limited()
{
	fs_on ext4
	cachex "$(fs_number)"
	mkdir "$MNT/d"
	numbers | split -b 36K -a 4 -d - "$MNT/d/"
	sync
	echo 3 >/proc/sys/vm/drop_caches
	limited l 16M
	cg_run "$CG" cat "$MNT"/d/* | cmp - <(numbers)
	# Leaves nothing but what pages in pmem keep: those of others, who read below, would keep inodes as well
	reclaim
	num "kernel" "$(cg_kernel)" -lt $((6 << 20))
	num "rejected_memory" "$(cx rejected_memory)" -gt 1000
	# Until then they were stored
	num "puts" "$(cx puts)" -gt 5000
	cat "$MNT"/d/* | cmp - <(numbers)
	same "killed" "$(cg_event "$CG" oom_kill)" 0
}

# ends FUNCTION: unmounted, so that all comes back
ends()
{
	"$@"
	fs_off
}

case_ 'no targets' ends no_target
case_ 'other targets' ends other_target
case_ 'the device is not its filesystem' ends not_its_bdev
case_ 'a type of filesystem' ends by_type
case_ 'the device of a filesystem' ends by_device
case_ 'words for targets' ends target_words
case_ 'words for all else' ends other_words
case_ 'encrypted files' ends encrypted
case_ 'swap files' ends swapfile
case_ 'admission off, and not enabled' ends off
case_ 'max_pages' ends limit
case_ 'admission on the second eviction' ends reuse
case_ 'data in the journal' ends journalled
case_ 'admission while there is room' ends room
case_ 'the reserve' ends reserve
case_ 'the reserve is all there is' ends full
case_ 'tmpfs' ends tmpfs
case_ 'ftrace stays enabled' tracing_stays
case_ 'small files' ends small_files
case_ 'small files, in a cgroup that is limited' ends small_files_limited
case_ 'small files, below one that is limited' ends small_files_below
case_ 'many files that are not small, in a cgroup that is limited' ends many_files_limited
case_ 'symbolic links' ends symlinks
case_ 'what can not be read' unreadable
for fs in ext4 xfs btrfs; do
	case_ "deleted files, $fs" torn_down $fs
done
cases_done
