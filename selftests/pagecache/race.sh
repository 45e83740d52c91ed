#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# vm: --mem 768M --nvdimm 128M --disk 600M
# timeout: 900
# allow-log: Memory failure: |Injecting memory failure
# Eviction is one step for those who look a page up without a lock: what goes while it is evicted is gone. And pages
# may fail at any moment.

# shellcheck source-path=SCRIPTDIR
# shellcheck disable=SC2317 # cases_done calls them
. "$(dirname "$0")/../lib/cachex.sh"

need_namespaces 1
need_disk

ROUNDS=${RACE_ROUNDS:-$(fewer 1000)}

# race FS WHAT ROUNDS
race()
{
	fs_on "$1"
	cachex "$(fs_number)"
	("$PROGS/evictrace" "$2" "$MNT/file" "$3")
	num "puts" "$(cx puts)" -gt "$3"
	rm "$MNT/file"
	fs_off
	idle "$BIG"
}

# races FS ROUNDS
races()
{
	case_ "$1: a hole is punched" race "$1" punch "$2"
	case_ "$1: truncated" race "$1" truncate "$2"
	case_ "$1: written directly" race "$1" direct "$2"
}

# failing FS: pages fail while they are evicted and dropped, and promoted if they look hot. Nobody notices.
failing()
{
	local out failed left

	modprobe -q hwpoison-inject || skip 'needs the module hwpoison-inject'
	at_exit modprobe -r hwpoison-inject
	fs_on "$1"
	cachex "$(fs_number)"
	_write $CX/promote_pages_per_second 100000
	file_in_pmem
	out=$(LENT_PFNS=$(ns_pfns "$BIG") "$PROGS/filefail" "$FILE" "$(fewer 200)") || fail "$out"
	read -r failed left <<<"$out"
	echo "$failed pages failed, $left of them were left"
	num "pages that failed" "$failed" -gt 0
	same "pages left to who has them" "$left" 0
	cmp "$FILE" "$REF"
	fs_check
	loop_until 5 is "$failed" tier_stat "$BIG" bad_pages
	idle "$BIG"
}

# With large folios and without
races xfs "$ROUNDS"
races ext4 $((ROUNDS / 10))
case_ 'xfs: pages fail' failing xfs
case_ 'ext4: pages fail' failing ext4
cases_done
