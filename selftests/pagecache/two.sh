#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# vm: --mem 1G --nvdimm 256M --nvdimm 128M --disk 400M
# timeout: 300
# Two namespaces for the page cache: what one has no room for goes to the other, and either can go.

# shellcheck source-path=SCRIPTDIR
# shellcheck disable=SC2317 # cases_done calls them
. "$(dirname "$0")/../lib/cachex.sh"

need_namespaces 2
need_disk

set_up()
{
	fs_on ext4
	cachex "$(fs_number)" "$BIG" "$SMALL"
	same "pages in pmem" "$(cx stored_pages)" 0
}

# no_room NAMESPACE: from now on
no_room() { _write "$TIER/$1/reserve_pages" "$(tier_stat "$1" total_pages)"; }

room() { _write "$TIER/$1/reserve_pages" 0; }

# in_pmem NAMESPACE: so many pages of the page cache
in_pmem() { tier_stat "$1" cache_pages; }

# reads_as FILE REF
reads_as() { cmp "$1" "$2" || fail "$1: what is read isn't what was written"; }

# elsewhere FULL OTHER
elsewhere()
{
	local before

	set_up
	no_room "$1"
	file_in_pmem
	num "pages in $2" "$(in_pmem "$2")" -ge $((PAGES * 9 / 10))
	same "pages in $1" "$(in_pmem "$1")" 0
	same "rejected_full" "$(cx rejected_full)" 0
	reads_as "$FILE" "$REF"
	# nor is there any in the other
	no_room "$2"
	cp "$REF" "$MNT/more"
	sync
	before=$(cx rejected_full)
	cg_run "$CG" cat "$MNT/more" >/dev/null
	echo 3 >/proc/sys/vm/drop_caches
	cg_run "$CG" cat "$MNT/more" >/dev/null
	reclaim
	num "rejected_full" "$(cx rejected_full)" -gt "$before"
	reads_as "$MNT/more" "$REF"
	balanced "$1"
	balanced "$2"
}

# goes GOES STAYS: a file in each, and one is given back
goes()
{
	local in_other

	set_up
	no_room "$2"
	file_in_pmem
	num "pages in $1" "$(in_pmem "$1")" -ge $((PAGES * 9 / 10))
	room "$2"
	no_room "$1"
	cp "$FILE" "$MNT/more"
	sync
	echo 3 >/proc/sys/vm/drop_caches
	cg_run "$CG" cat "$MNT/more" | cmp - "$REF"
	reclaim
	in_other=$(in_pmem "$2")
	num "pages in $2" "$in_other" -ge $((PAGES * 9 / 10))
	same "unbind" "$(tier_unbind "$1")" 0
	same "pages in $2" "$(in_pmem "$2")" "$in_other"
	same "pages in pmem" "$(cx stored_pages)" "$in_other"
	reads_as "$FILE" "$REF"
	reads_as "$MNT/more" "$REF"
	same "bind" "$(tier_bind "$1")" 0
	idle "$1"
	fs_check
	mount -t "$FS" "$DISK" "$MNT"
	reads_as "$FILE" "$REF"
	reads_as "$MNT/more" "$REF"
}

case_ 'no room in the small one' elsewhere "$SMALL" "$BIG"
case_ 'no room in the big one' elsewhere "$BIG" "$SMALL"
case_ 'the small one is given back' goes "$SMALL" "$BIG"
case_ 'the big one is given back' goes "$BIG" "$SMALL"
cases_done
