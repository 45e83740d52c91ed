#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# vm: --mem 1G --nvdimm 512M --nvdimm 256M
# timeout: 900
# What processes do with swapped memory: fork, exit, discard, move, lock, unmap, swapoff below them.

# shellcheck source-path=SCRIPTDIR
# shellcheck disable=SC2317 # cases_done calls them
. "$(dirname "$0")/../lib/pmemswap.sh"

need_namespaces 1

PAGES=4096

# A puppet "p" whose region a of 16 MiB is out
start()
{
	use "$BIG"
	push /proc/sys/vm/page-cluster 0
	swap_on "$DEV"
	puppet p
	tell p map a 16M nohuge
	tell p fill a 1 "${1:-random}"
	out
}

out() { paged_out p a $PAGES; }

# The kernel keeps freed slots of each CPU for a while
slots_at_most()
{
	num "slots in use" "$(stat_of "$DEV" slots_used)" -le $(( $1 + $(slot_cache) ))
	num "pages in use" "$(tier_stat "$BIG" swap_pages)" -le $(( $1 + $(slot_cache) ))
}

pageout()
{
	start mixed
	tell p verify a
	same "pages that are in" "$(ask p present a)" $PAGES
	slots_at_most 0
	out
	tell p fill a 2 mixed
	tell p verify a
	out
	tell p verify a
}

# swapon reads some too, for the header
read_pages()
{
	echo $(( $(stat_of "$DEV" copied_in_pages) + $(stat_of "$DEV" mapped_in_pages) ))
}

# Raw slots and pool pages are the same thing
accounting()
{
	local before

	start random
	before=$(read_pages)
	same "raw_slots" "$(stat_of "$DEV" raw_slots)" $PAGES
	same "slots_used" "$(stat_of "$DEV" slots_used)" $PAGES
	same "written_pages" "$(stat_of "$DEV" written_pages)" $PAGES
	same "swap_pages" "$(tier_stat "$BIG" swap_pages)" $PAGES
	# CPUs take slots for later
	num "used in /proc/swaps" "$(swap_used_kib "$DEV")" -ge $((PAGES * 4))
	num "used in /proc/swaps" "$(swap_used_kib "$DEV")" -le $(( (PAGES + $(slot_cache)) * 4 ))
	balanced "$BIG"
	tell p verify a
	same "copied or mapped in" $(( $(read_pages) - before )) $PAGES
	num "freed_pages" "$(stat_of "$DEV" freed_pages)" -ge $((PAGES - $(slot_cache)))
}

fork_cow()
{
	start mixed
	tell p forkcow a 1
	tell p verify a
	out
	tell p forkcow a 3
	tell p verify a
	out
	tell p forkcow a 8
	tell p verify a
}

# A child holds the old data while the parent writes, and both are swapped
fork_hold()
{
	start random
	tell p forkhold a
	tell p fill a 2 random
	tell p pageout a
	tell p verify a
	tell p pageout a
	tell p forkend a
	tell p verify a
	out
	tell p forkhold a
	tell p verify a
	tell p pageout a
	tell p zap a
	tell p forkend a
	tell p verify a
}

zap()
{
	local before

	start random
	before=$(stat_of "$DEV" slots_used)
	tell p zap a 1000 1000
	slots_at_most $((before - 1000))
	tell p verify a
	tell p pageout a
	tell p verify a
	tell p pageout a
	tell p zap a
	slots_at_most 0
	tell p verify a
}

unmapped()
{
	start random
	tell p unmap a 0 1000
	slots_at_most $((PAGES - 1000))
	tell p unmap a 3000 1096
	slots_at_most $((PAGES - 2096))
	tell p verify a
}

moved()
{
	start mixed
	tell p move a 24M
	tell p verify a
	tell p pageout a
	tell p move a 8M
	tell p verify a
	tell p pageout a
	tell p move a 8M
	tell p readonly a
	tell p verify a
}

locked()
{
	start mixed
	tell p lock a
	same "pages that are out when locked" "$(ask p swapped a)" 0
	tell p verify a
	tell p unlock a
	out
	tell p readonly a
	tell p verify a
}

# exit HOW: every page of a process that is gone comes back
exits()
{
	start random
	if [[ $1 == killed ]]; then
		kill -9 "${_puppet_pid[p]}"
		{ wait "${_puppet_pid[p]}" || :; } 2>/dev/null
		unset '_puppet_pid[p]'
	else
		puppet_end p
	fi
	slots_at_most 0
	swap_off "$DEV"
	idle "$BIG"
}

swapoff_below()
{
	start mixed
	tell p forkhold a
	swap_off "$DEV"
	same "pages that are out" "$(ask p swapped a)" 0
	tell p verify a
	tell p forkend a
	idle "$BIG"
	swap_on "$DEV"
	out
	tell p verify a
}

# Off and on while a hog runs, and reclaim pushes it out again and again
swapoff_under_load()
{
	local hog i

	use "$BIG"
	limited t max
	swap_on "$DEV"
	cg_exec "$CG" "$PROGS/hog" --size 64M --threads 2 --random --passes 1000000 --fork 1 &
	hog=$!
	for (( i = 0; i < $(fewer 5 2); i++ )); do
		loop_until 60 cg_has 48M
		{ echo 32M >"$CG/memory.reclaim"; } 2>/dev/null || echo "round $i: not all of it"
		swap_off "$DEV"
		swap_on "$DEV"
	done
	{ echo 32M >"$CG/memory.reclaim"; } 2>/dev/null || echo "not all of it"
	kill -TERM $hog
	wait $hog || fail "hog: status $?"
	num "pages written" "$(stat_of "$DEV" written_pages)" -gt 5000
}

cg_has() { (( $(<"$CG/memory.current") > ${1%M} * 1048576 )); }

case_ "MADV_PAGEOUT, and back by reading and by writing" pageout
case_ "counters of a process' pages" accounting
case_ "fork, then copy on write in all of them" fork_cow
case_ "a child keeps the old data" fork_hold
case_ "MADV_DONTNEED" zap
case_ "munmap" unmapped
case_ "mremap and mprotect" moved
case_ "mlock" locked
case_ "exit gives all pages back" exits normally
case_ "kill gives all pages back" exits killed
case_ "swapoff below a process and its child" swapoff_below
case_ "swapoff and swapon under load" swapoff_under_load
cases_done
