#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# vm: --mem 768M --nvdimm 128M --disk 600M
# timeout: 600
# Our allocations fail at random while files are evicted and promoted: what can't be stored is evicted as ever,
# the data is right, and all pages come back.
#
# Allocations fail where the kernel has fault injection (make check-debug).

# shellcheck source-path=SCRIPTDIR
# shellcheck disable=SC2317 # cases_done calls them
. "$(dirname "$0")/../lib/cachex.sh"
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/../lib/fault.sh"

need_namespaces 1
need_disk

# What times is at the start: how often allocations may fail at most
TIMES=1000000

# failed KIND: how often they did
failed() { echo $((TIMES - $(<"$FAULT/$1/times"))); }

# on FS FUNCTION: a file, and a third of our allocations fails meanwhile
on()
{
	local f

	need_injection
	fs_on "$1"
	cachex "$(fs_number)"
	limited f max
	FILE=$MNT/file
	head -c $((PAGES * 4096)) /dev/urandom >"$REF"
	at_exit rm -f "$REF"
	only_in pmem_cachex
	for f in failslab fail_page_alloc; do
		push $FAULT/$f/times $TIMES
		push $FAULT/$f/probability 33
	done
	"${@:2}"
}

# All is well, without failures again
well()
{
	local f

	for f in failslab fail_page_alloc; do
		_write $FAULT/$f/probability 0
	done
	cmp "$FILE" "$REF"
	balanced "$BIG"
	same "drop" "$(writing $CX/drop 1)" 0
	same "pages in pmem" "$(cx stored_pages)" 0
	idle "$BIG"
	fs_check
	mount -t "$FS" "$DISK" "$MNT"
	cmp "$FILE" "$REF"
	fs_off
}

# Written in large folios, which have to be split: that takes nodes of the page cache's tree
# write_and_evict [SIZE]: folios of up to so much
write_and_evict()
{
	rm -f "$FILE"
	cg_run "$CG" dd if="$REF" of="$FILE" bs="${1:-1M}" status=none
	sync
	reclaim
	cmp "$FILE" "$REF" || fail "what is read isn't what was written"
}

# Up to 1 MiB, or as large as there are
some_and_some() { write_and_evict $((RANDOM % 2 ? 1 : 4))M && (( $(cx rejected_memory) > 0 && $(cx puts) >= PAGES )); }

evicted()
{
	loop_until 120 some_and_some
	num "failed allocations" "$(failed failslab)" -gt 0
	balanced "$BIG"
	# what was rejected was evicted, and none of it twice
	num "pages in pmem" "$(cx stored_pages)" -le $((PAGES + 64))
	well
}

# Pages of DRAM that hot ones are to move to
promotes()
{
	cmp "$FILE" "$REF" || fail "what is read isn't what was written"
	(( $(cx promoted) >= PAGES / 4 && $(failed fail_page_alloc) > 0 ))
}

promoted()
{
	_write $CX/promote_pages_per_second 1000000
	cp "$REF" "$FILE"
	sync
	echo 3 >/proc/sys/vm/drop_caches
	evict
	num "pages in pmem" "$(cx stored_pages)" -gt 0
	loop_until 120 promotes
	balanced "$BIG"
	well
}

# fails_or_works FILE VALUE: with ENOMEM, or as ever
fails_or_works()
{
	local got

	got=$(writing "$1" "$2")
	[[ $got == @(0|ENOMEM|EBUSY) ]] || fail "$1 <- $2: $got"
}

# Files that do something, and the namespace goes and comes
files()
{
	local i

	write_and_evict
	for i in {1..20}; do
		fails_or_works $CX/targets "$(fs_number) vfat bdev:8:$i"
		fails_or_works $CX/targets "$(fs_number)"
		fails_or_works $CX/enabled 0
		fails_or_works $CX/enabled 1
		fails_or_works "$ND/drivers/pmem_tier/unbind" "$BIG"
		held "$BIG" || fails_or_works "$ND/drivers/pmem_tier/bind" "$BIG"
	done
	num "failed allocations" "$(failed failslab)" -gt 0
	for i in failslab fail_page_alloc; do
		_write $FAULT/$i/probability 0
	done
	# it may have been claimed without pmem_cachex, for want of memory
	! held "$BIG" || same "unbind" "$(tier_unbind "$BIG")" 0
	same "bind" "$(tier_bind "$BIG")" 0
	_write $CX/targets "$(fs_number)"
	_write $CX/enabled 1
	# and it takes what is evicted, as if nothing had been; 256 KiB of a folio are the most that it does
	write_and_evict 128K
	num "pages in pmem" "$(cx stored_pages)" -ge $((PAGES * 9 / 10))
	well
}

case_ 'large folios are evicted' on xfs evicted
case_ 'hot pages are promoted' on ext4 promoted
case_ 'files that do something' on xfs files
cases_done
