#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# vm: --mem 768M --nvdimm 128M --nvdimm 400M
# timeout: 600
# Files that are accessed by DAX lie in persistent memory already: none of their pages is taken.

# shellcheck source-path=SCRIPTDIR
# shellcheck disable=SC2317 # cases_done calls them
. "$(dirname "$0")/../lib/cachex.sh"

need_namespaces 2

# The larger one has the filesystem, the smaller one is our pool. For DAX it takes a page structure for each
# page, which ndctl reserves room for.
dax_disk()
{
	need ndctl
	load_nd_pmem
	at_exit unload_nd_pmem
	at_exit wipe_namespace "$BIG"
	ndctl create-namespace -f -e "$BIG" -m fsdax >/dev/null
	at_exit ndctl destroy-namespace -f "$BIG"
	DISK=$(echo /sys/block/pmem*)
	DISK=/dev/${DISK##*/}
	[[ -b $DISK ]] || fail "no block device of $BIG"
}

# dax_on FS MODE: mounted with dax=MODE
dax_on()
{
	dax_disk
	case $1 in
	ext4)	fs_on ext4 -b 4096 ;;
	xfs)	fs_on xfs -m reflink=0 ;;
	esac
	fs_off
	mount -t "$1" -o "dax=$2" "$DISK" "$MNT"
	cachex "$(majmin "$DISK")" "$SMALL"
	limited f max
}

# new_file PATH REFERENCE
new_file()
{
	head -c $((PAGES * 4096)) /dev/urandom >"$2"
	at_exit rm -f "$2"
	cp "$2" "$1"
	sync
}

# What the page cache has of a file
cached() { fincore -n -o PAGES "$1" | tr -d ' '; }

# use_it PATH REFERENCE: read, mapped, written, evicted
use_it()
{
	local i

	for i in 1 2; do
		cg_run "$CG" cat "$1" | cmp - "$2"
		cg_run "$CG" xfs_io -c 'mmap 0 4m' -c 'mread 0 4m' \
			-c "mwrite -S $i 5000 10000" "$1" >/dev/null
		xfs_io -c "pwrite -S $i 5000 10000" "$2" >/dev/null
		reclaim
		cmp "$1" "$2"
		sync
		reclaim
	done
}

always()
{
	dax_on "$1" always
	new_file "$MNT/file" "$REF"
	use_it "$MNT/file" "$REF"
	same "pages in the page cache" "$(cached "$MNT/file")" 0
	same "puts" "$(cx puts)" 0
	same "pages in pmem" "$(cx stored_pages)" 0
	same "cache_pages" "$(tier_stat "$SMALL" cache_pages)" 0
	fs_check
}

# Of two files in the same filesystem one is accessed by DAX, the other through the page cache
by_file()
{
	dax_on "$1" inode
	mkdir "$MNT/dax"
	xfs_io -c 'chattr +x' "$MNT/dax"
	new_file "$MNT/dax/file" /tmp/ref.dax
	new_file "$MNT/file" "$REF"
	echo 3 >/proc/sys/vm/drop_caches
	use_it "$MNT/dax/file" /tmp/ref.dax
	same "puts" "$(cx puts)" 0
	same "pages in the page cache" "$(cached "$MNT/dax/file")" 0
	use_it "$MNT/file" "$REF"
	num "puts" "$(cx puts)" -ge $((PAGES * 9 / 10))
	num "pages in pmem" "$(cx stored_pages)" -ge $((PAGES * 9 / 10))
	num "pages in pmem" "$(cx stored_pages)" -le $PAGES
	same "pages in the page cache" "$(cached "$MNT/dax/file")" 0
	cmp "$MNT/dax/file" /tmp/ref.dax
	cmp "$MNT/file" "$REF"
	fs_check
	loop_until 5 is 0 cx stored_pages
}

for fs in ext4 xfs; do
	case_ "$fs, dax=always" always $fs
	case_ "$fs, one file of two" by_file $fs
done
cases_done
