#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# vm: --mem 1G --nvdimm 512M --nvdimm 256M
# timeout: 600
# Lent pages go where they belong: hot ones to DRAM, any of them when the pool is low, and back to being
# swapped out on request.

# shellcheck source-path=SCRIPTDIR
# shellcheck disable=SC2317 # cases_done calls them
. "$(dirname "$0")/../lib/mapping.sh"

need_namespaces 1

promote() { _write "$(ps_attr promote_pages_per_second)" "$1"; }

end()
{
	puppet_end p
	! swap_active "$DEV" || swap_off "$DEV"
	idle "$BIG"
}

# promoted PAGES: reads region a once more; true when so many have been promoted
promoted()
{
	tell p verify a
	(( $(stat_of "$DEV" promoted_pages) >= $1 ))
}

hot_is_promoted()
{
	local cold

	mapping all 16
	limited t 128M
	puppet p "$CG"
	tell p map b 8M nohuge
	tell p fill b 5 random
	tell p pageout b
	tell p verify b
	lend_all
	cold=$(( $(stat_of "$DEV" lent_pages) - PAGES ))
	promote 65536
	loop_until 60 promoted $(( PAGES * 9 / 10 ))
	promote 0
	num "memory.current" "$(<"$CG/memory.current")" -ge $(( PAGES * 9 / 10 << 12 ))
	num "cold pages, still lent" "$(stat_of "$DEV" lent_pages)" -ge $(( cold * 9 / 10 ))
	tell p verify b
	tell p fill a 2 random
	tell p verify a
	end
}

# It reclaims what is cold, or lets it be: nobody is killed and the limits hold
no_room_to_promote()
{
	start_in 12M
	promote 65536
	loop_until 60 promoted 1
	num "memory.current" "$(<"$CG/memory.current")" -le $(( 12 << 20 ))
	same "killed" "$(cg_event "$CG" oom_kill)" 0
	tell p verify a
	end
}

taken_back() { (( $(stat_of "$DEV" taken_back_pages) > 0 )); }
none_lent() { (( $(tier_stat "$BIG" lent_pages) == 0 )); }

# Nobody need ask: what stays lent after swapoff goes to DRAM where there is plenty, and then so can the module
back_after_swapoff()
{
	start
	swap_off "$DEV"
	promote 65536
	loop_until 60 none_lent
	num "pages taken back or promoted" \
		$(( $(stat_of "$DEV" taken_back_pages) + $(stat_of "$DEV" promoted_pages) )) -ge $(( PAGES * 9 / 10 ))
	tell p verify a
	unload pmemswap
	tell p fill a 2 random
	tell p verify a
	puppet_end p
}

# A cgroup that would be full of pages with no swap to go to keeps them where they are
no_room_after_swapoff()
{
	start_in 12M
	# Others have room
	puppet q
	tell q map b 4M nohuge
	tell q fill b 7 random
	tell q pageout b
	tell q verify b
	swap_off "$DEV"
	promote 65536
	loop_until 60 taken_back
	tell p verify a
	num "lent pages" "$(tier_stat "$BIG" lent_pages)" -gt 1000
	same "killed" "$(cg_event "$CG" oom_kill)" 0
	tell q verify b
	puppet_end q
	end
}

unlend()
{
	local copied0 lent i

	start
	copied0=$(stat_of "$DEV" copied_in_pages)
	for i in 2 3 4; do
		tell p fill a $i random 7 3000
		tell p verify a
		lent=$(stat_of "$DEV" lent_pages)
		_write "$(ps_attr unlend)" 1
		same "lent pages" "$(stat_of "$DEV" lent_pages)" 0
		tell p swapped a
		same "pages out" "$REPLY" "$lent"
		balanced "$BIG"
	done
	num "unlent pages" "$(stat_of "$DEV" unlent_pages)" -ge $(( 3 * PAGES * 9 / 10 ))
	tell p verify a
	same "pages copied" "$(stat_of "$DEV" copied_in_pages)" "$copied0"
	end
}

# Readahead of tmpfs goes by slots, and copies lent pages into the swap cache: they are old when written to
unlend_not_behind_the_cache()
{
	local i

	mapping all 1
	_write /proc/sys/vm/page-cluster 3
	mkdir -p "$MNT"
	mount -t tmpfs -o size=100M tmpfs "$MNT"
	puppet p
	tell p map a 1M nohuge
	tell p mapfile b 3M "$MNT/file"
	tell p fill a 1 random
	tell p fill b 9 random
	for i in {0..255}; do
		tell p pageout a "$i" 1
		tell p pageout b $(( 3 * i )) 3
	done
	tell p verify a
	num "lent pages" "$(stat_of "$DEV" lent_pages)" -gt 100
	tell p verify b
	tell p fill a 2 random
	_write "$(ps_attr unlend)" 1
	tell p verify a
	tell p verify b
	tell p fill a 3 random
	_write "$(ps_attr drain)" 1
	tell p verify a
	end
	umount "$MNT"
}

unlend_all_but_pinned()
{
	start
	tell p pin a 100 16
	_write "$(ps_attr unlend)" 1
	same "lent pages" "$(stat_of "$DEV" lent_pages)" 16
	tell p verify a
	tell p unpin a
	_write "$(ps_attr unlend)" 1
	same "lent pages" "$(stat_of "$DEV" lent_pages)" 0
	tell p verify a
	end
}

# A child that never swapped has swap entries now: swapoff must find them
unlend_after_fork()
{
	start
	tell p forkhold a
	_write "$(ps_attr unlend)" 1
	num "lent pages of both" "$(stat_of "$DEV" lent_pages)" -ge $(( PAGES * 9 / 10 ))
	tell p zap a
	_write "$(ps_attr unlend)" 1
	same "lent pages" "$(stat_of "$DEV" lent_pages)" 0
	num "slots in use" "$(stat_of "$DEV" slots_used)" -ge $(( PAGES * 9 / 10 ))
	_write "$(ps_attr map_faults)" off
	swap_off "$DEV"
	tell p forkend a
	tell p verify a
	end
}

unlend_under_way()
{
	start
	"$PROGS/hog" --size 24M --threads 2 --passes 12 --random &
	while kill -0 $! 2>/dev/null; do
		_write "$(ps_attr unlend)" 1
		tell p verify a
	done
	wait $! || fail "hog: status $?"
	end
}

# The pool has room for nothing more, all of it lent: page-out goes on, because DRAM is free
pool_is_low()
{
	local mib

	[[ -n $SMALL ]] || skip "needs 2 namespaces"
	BIG=$SMALL
	mapping all 16
	puppet p
	mib=$(( $(stat_of "$DEV" slots_total) / 256 ))
	tell p map b $(( mib + 16 ))M nohuge
	tell p fill b 3 random
	tell p pageout b
	tell p verify b
	num "free pages" "$(tier_stat "$BIG" free_pages)" -le $(( $(tier_stat "$BIG" total_pages) / 64 ))
	promote 4096
	loop_until 60 taken_back
	num "free pages" "$(tier_stat "$BIG" free_pages)" -gt 0
	tell p verify b
	end
}

# There is no other swap, and less DRAM than is lent: nobody is killed for it
drain_without_dram()
{
	local kills said

	mapping all 16
	promote 0
	puppet p
	tell p map b 160M nohuge
	tell p fill b 3 random
	tell p pageout b
	tell p verify b
	swap_off "$DEV"
	num "lent pages" "$(tier_stat "$BIG" lent_pages)" -gt 38000
	kills=$(vmstat_of oom_kill)
	leave $((60 << 10))
	said=$(writing "$(ps_attr drain)" 1) || :
	puppet_end balloon
	same "drain" "$said" EBUSY
	same "killed" $(( $(vmstat_of oom_kill) - kills )) 0
	num "lent pages" "$(tier_stat "$BIG" lent_pages)" -gt 10000
	tell p verify b
	_write "$(ps_attr drain)" 1
	same "lent pages" "$(tier_stat "$BIG" lent_pages)" 0
	tell p verify b
	end
}

values()
{
	local v

	use "$BIG"
	for v in -1 1048577 x ''; do
		refuses "$(ps_attr promote_pages_per_second)" "$v"
	done
	refuses "$(ps_attr unlend)" 2
	same "promote_pages_per_second" "$(stat_of "$DEV" promote_pages_per_second)" 4096
	_write "$(ps_attr promote_pages_per_second)" 1048576
	same "promote_pages_per_second" "$(stat_of "$DEV" promote_pages_per_second)" 1048576
}

case_ 'hot pages are promoted, cold ones are not' hot_is_promoted
case_ 'promotion in a cgroup without room' no_room_to_promote
case_ 'pages that stay lent after swapoff go to DRAM' back_after_swapoff
case_ 'but not where they would fill a cgroup' no_room_after_swapoff
case_ 'unlend swaps out in place' unlend
case_ 'unlend leaves pages that have an old copy' unlend_not_behind_the_cache
case_ 'unlend leaves pinned pages' unlend_all_but_pinned
case_ 'unlend, with processes that forked' unlend_after_fork
case_ 'unlend while pages are in use' unlend_under_way
case_ 'a pool that is low takes lent pages back' pool_is_low
case_ 'drain where DRAM is short' drain_without_dram
case_ 'values that are not accepted' values
cases_done
