#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# vm: --mem 768M --nvdimm 128M --disk 600M
# timeout: 900
# Swap and page cache from one pool: swap gets what it needs, the cache what is left, the data stays right.

# shellcheck source-path=SCRIPTDIR
# shellcheck disable=SC2317 # cases_done calls them
. "$(dirname "$0")/../lib/cachex.sh"

need_namespaces 1
need_disk

MB=120			# of a file larger than the pool

# A pool full of page cache, and swap on it
full_of_cache()
{
	fs_on ext4
	use "$BIG"
	swap_on "$DEV"
	modprobe pmem_cachex targets="$(fs_number)"
	at_exit cachex_off
	same "enabled" "$(cx enabled)" 1
	_write $CX/admission all
	dd if=/dev/urandom of="$MNT/big" bs=1M count=$MB status=none
	sha1sum <"$MNT/big" >/tmp/sum
	sync
	echo 3 >/proc/sys/vm/drop_caches
	limited f 20M
	READERS=$CG
	read_file
	num "cache_pages" "$(tier_stat "$BIG" cache_pages)" -gt $(($(tier_stat "$BIG" total_pages) * 7 / 10))
}

read_file() { cg_run "$READERS" sha1sum <"$MNT/big" | cmp - /tmp/sum; }

finish()
{
	fs_off
	same "killed" "$(cg_event "$CG" oom_kill)" 0
	same "writes that failed" "$(stat_of "$DEV" failed_write_full_pages)" 0
}

swap_comes()
{
	full_of_cache
	limited s 20M max
	puppet a "$CG"
	tell a map a 70M nohuge
	tell a fill a 1 random
	num "swap_pages" "$(tier_stat "$BIG" swap_pages)" -gt 10000
	num "dropped" $(($(cx given_back) + $(cx reclaimed))) -gt 4000
	tell a verify a
	read_file
	tell a verify a
	puppets_end
	# and the cache takes what swap has left
	read_file
	num "cache_pages" "$(tier_stat "$BIG" cache_pages)" -gt $(($(tier_stat "$BIG" total_pages) * 7 / 10))
	finish
}

# Both at once, again and again
both_at_once()
{
	local i reader

	full_of_cache
	limited s 20M max
	puppet a "$CG"
	tell a map a 60M nohuge
	( while read_file; do :; done; echo 'wrong data' >/tmp/wrong ) &
	reader=$!
	for i in 1 2 3; do
		tell a fill a $i random
		tell a verify a
	done
	kill "$reader"
	wait "$reader" 2>/dev/null || :
	[[ ! -e /tmp/wrong ]] || fail "wrong data in the file"
	puppets_end
	read_file
	finish
}

case_ 'swap needs what the cache has' swap_comes
case_ 'both at once' both_at_once
cases_done
