#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# vm: --mem 768M --nvdimm 128M --disk 600M
# timeout: 3600
# Whatever happens to a file whose pages are in pmem, it reads as without us: point by point.

# shellcheck source-path=SCRIPTDIR
# shellcheck disable=SC2317 # cases_done calls them
. "$(dirname "$0")/../lib/cachex.sh"

need_namespaces 1
need_disk

# reads_as_ref: FILE is what REF is, now, and from the disk
reads_as_ref()
{
	head -c "$(stat -c %s "$REF")" "$FILE" | cmp - "$REF" || fail "wrong data"
	[[ $FS == bdev ]] || same "size" "$(stat -c %s "$FILE")" "$(stat -c %s "$REF")"
	sync "$FILE"
	head -c "$(stat -c %s "$REF")" "$FILE" | cmp - "$REF" || fail "wrong data after sync"
}

# finish: the same without our modules, and after a look at the filesystem
finish()
{
	reads_as_ref
	if [[ $FS == bdev ]]; then
		_write $CX/enabled 0
		rmmod pmem_cachex
		exec {DISK_FD}<&-
		reads_as_ref
		return
	fi
	fs_off
	loop_until 5 is 0 cx stored_pages
	rmmod pmem_cachex
	fs_check
	mount -t "$FS" "$DISK" "$MNT"
	reads_as_ref
	fs_off
}

# on FS FUNCTION [ARG...]
on()
{
	FS=$1
	if [[ $FS == bdev ]]; then
		cachex "bdev:$(majmin "$DISK")"
		# the last one who closes it drops its page cache
		exec {DISK_FD}<"$DISK"
	else
		fs_on "$FS"
		cachex "$(fs_number)"
	fi
	file_in_pmem
	num "pages in pmem" "$(cx stored_pages)" -ge $((PAGES * 9 / 10))
	"${@:2}"
	finish
}

# both CMD [ARG...]: to FILE and REF; the word FILE stands for it
both()
{
	"${@//FILE/$FILE}"
	"${@//FILE/$REF}"
}

io() { xfs_io -c "$1" "$FILE" >/dev/null; }

second_pass()
{
	local before

	before=$(sectors_read)
	reads_as_ref
	same "sectors read" "$(($(sectors_read) - before))" 0
	num "pages in pmem" "$(cx stored_pages)" -ge $((PAGES * 9 / 10))
	# only what is done with the file counts as used
	same "hits" "$(cx hits)" 0
	_write $CX/drop 1
	same "pages in pmem" "$(cx stored_pages)" 0
	num "hits" "$(cx hits)" -ge $((PAGES * 9 / 10))
}

# Pages whole and in part, at several places
write_to()
{
	local i

	for i in 0 4096 5000 409600 1000000 4190000; do
		head -c $((1 + RANDOM % 20000)) /dev/urandom >/tmp/piece
		(( i + $(stat -c %s /tmp/piece) <= PAGES * 4096 )) || truncate -s 4000 /tmp/piece
		both dd if=/tmp/piece of=FILE bs=64k seek=$i oflag=seek_bytes conv=notrunc status=none
	done
}

write_through_mapping()
{
	xfs_io -c 'mmap 0 4m' -c 'mread 0 4m' -c 'mwrite -S 0x11 100 10000' \
		-c 'mwrite -S 0x22 1000000 4096' "$1" >/dev/null
}
map_write() { both write_through_mapping FILE; }

direct_write()
{
	head -c 65536 /dev/urandom >/tmp/piece
	dd if=/tmp/piece of="$FILE" bs=64k seek=3 conv=notrunc oflag=direct status=none
	dd if=/tmp/piece of="$REF" bs=64k seek=3 conv=notrunc status=none
}

# Not of the file is in the page cache, all of it is what it was before
direct_read()
{
	write_to
	dd if="$FILE" bs=64k count=64 iflag=direct status=none | cmp - "$REF"
}

shrink_and_grow()
{
	both truncate -s 1000001 FILE
	both truncate -s $((PAGES * 4096)) FILE
}

punch()
{
	both fallocate -p -o 8192 -l 100000 FILE
	both fallocate -p -o 1000001 -l 5 FILE
	[[ $FS == btrfs ]] || io 'fzero 2000000 70000'
	[[ $FS == btrfs ]] || xfs_io -c 'pwrite -S 0 2000000 70000' "$REF" >/dev/null
}

collapse()
{
	[[ $FS != btrfs ]] || skip 'btrfs has none'
	io 'fcollapse 40960 409600'
	{ head -c 40960 "$REF"; tail -c +$((450560 + 1)) "$REF"; } >/tmp/piece
	mv /tmp/piece "$REF"
	io 'finsert 8192 4096'
	{ head -c 8192 "$REF"; head -c 4096 /dev/zero; tail -c +8193 "$REF"; } >/tmp/piece
	mv /tmp/piece "$REF"
}

# The clone shares blocks, not pages: what is written to either is only its own
reflink()
{
	[[ $FS != ext4 ]] || skip 'ext4 has none'
	cp --reflink=always "$FILE" "$MNT/clone"
	cp "$REF" /tmp/clone
	write_to
	cmp "$MNT/clone" /tmp/clone
	dd if=/dev/urandom of="$MNT/clone" bs=4096 seek=9 count=100 conv=notrunc status=none
	rm /tmp/clone
}

# A new file may get the old one's inode and blocks
reuse()
{
	local i

	for i in 1 2 3; do
		rm "$FILE"
		sync
		head -c $((PAGES * 4096)) /dev/urandom >"$REF"
		cp "$REF" "$FILE"
		reads_as_ref
		evict
	done
}

remount()
{
	mount -o remount,ro "$MNT"
	reads_as_ref
	mount -o remount,rw "$MNT"
	write_to
	fs_off
	loop_until 5 is 0 cx stored_pages
	mount -t "$FS" "$DISK" "$MNT"
}

execute()
{
	cp /bin/sha256sum "$MNT/prog"
	sync
	FILE=$MNT/prog
	cg_run "$CG" "$MNT/prog" "$REF"
	reclaim
	same "output" "$("$MNT/prog" <"$REF")" "$(sha256sum <"$REF")"
	FILE=$MNT/file
}

copy_of_it()
{
	cp --reflink=never "$FILE" "$MNT/copy"
	cmp "$MNT/copy" "$REF"
}

# Dirty in pmem when it is turned off
turned_off_dirty()
{
	write_to
	map_write
	_write $CX/enabled 0
	same "pages in pmem" "$(cx stored_pages)" 0
	reads_as_ref
	_write $CX/enabled 1
	# the cgroup has to read it again, to pay for it
	echo 3 >/proc/sys/vm/drop_caches
	evict
	num "pages in pmem" "$(cx stored_pages)" -gt 0
}

# What a pipe holds stays what it was
held_in_pipe()
{
	coproc HOLD { "$PROGS/filehold" pipe "$FILE" 8 16; }
	# shellcheck disable=SC2034 # read by its descriptor
	read -r line <&"${HOLD[0]}"
	same "holder" "$line" held
	if [[ $FS == bdev ]]; then
		dd if=/dev/zero of="$FILE" bs=4096 seek=8 count=16 oflag=direct conv=notrunc status=none
		dd if=/dev/zero of="$REF" bs=4096 seek=8 count=16 conv=notrunc status=none
	else
		both truncate -s 0 FILE
	fi
	_write $CX/enabled 0 || :
	eval "exec ${HOLD[1]}>&-"
	wait "$HOLD_PID"
}

all() { local fs; for fs in ext4 xfs btrfs bdev; do case_ "$fs: $1" on $fs "${@:2}"; done; }
files() { local fs; for fs in ext4 xfs btrfs; do case_ "$fs: $1" on $fs "${@:2}"; done; }

all 'the second pass reads nothing from the disk' second_pass
all 'write' write_to
all 'write through a mapping' map_write
all 'direct write' direct_write
all 'direct read of what is dirty' direct_read
files 'shrink and grow' shrink_and_grow
files 'punch and zero' punch
files 'collapse and insert' collapse
files 'reflink' reflink
files 'unlink and reuse' reuse
files 'remount' remount
files 'execute' execute
files 'copy' copy_of_it
all 'turned off while dirty' turned_off_dirty
all 'held in a pipe' held_in_pipe
cases_done
