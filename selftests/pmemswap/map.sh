#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# vm: --mem 1G --nvdimm 512M --nvdimm 256M
# timeout: 900
# Page-in by mapping, turned on: data, fork, swapoff with pages lent, giving them back, zswap,
# media errors, bad values.

# shellcheck source-path=SCRIPTDIR
# shellcheck disable=SC2317 # cases_done calls them
. "$(dirname "$0")/../lib/pmemswap.sh"

need_namespaces 1

PAGES=4096

ps_attr() { echo "/sys/block/$DEV/pmemswap/$1"; }

# mapping MODE [AROUND]: a device that maps
mapping()
{
	use "$BIG"
	push /proc/sys/vm/page-cluster 0
	[[ $(writing "$(ps_attr map_faults)" "$1") == 0 ]] || skip 'this kernel has no page-in by mapping'
	push "$(ps_attr fault_around_pages)" "${2:-16}"
	swap_on "$DEV"
}

# A hog in a cgroup, its pages mapped in
hog_maps()
{
	local mode=$1 around=$2

	shift 2
	mapping "$mode" "$around"
	limited t 48M
	cg_run "$CG" "$PROGS/hog" --size 112M "$@"
	num "pages mapped in" "$(stat_of "$DEV" mapped_in_pages)" -gt 0
	if (( around == 1 )); then
		same "pages mapped around" "$(stat_of "$DEV" mapped_around_pages)" 0
	fi
	swap_off "$DEV"
	idle "$BIG"
}

# A puppet "p" with a region a of 16 MiB, all of it lent
start()
{
	local i

	mapping all 16
	puppet p
	tell p map a 16M nohuge
	tell p fill a 1 random
	for i in {1..10}; do
		tell p pageout a
		tell p swapped a
		(( REPLY < PAGES )) || break
	done
	tell p verify a
	num "pages lent" "$(stat_of "$DEV" lent_pages)" -gt $(( PAGES * 9 / 10 ))
}

data_in_place()
{
	local copied0

	start
	copied0=$(stat_of "$DEV" copied_in_pages)
	tell p fill a 2 random
	tell p verify a
	same "pages copied for the rewrite" "$(stat_of "$DEV" copied_in_pages)" "$copied0"
	balanced "$BIG"
	puppet_end p
	swap_off "$DEV"
	idle "$BIG"
}

swapoff_while_lent()
{
	local lent

	start
	swap_off "$DEV"
	same "slots in use" "$(stat_of "$DEV" slots_used)" 0
	lent=$(tier_stat "$BIG" lent_pages)
	num "pages still lent" "$lent" -gt 0
	same "pages of swap" "$(tier_stat "$BIG" swap_pages)" "$lent"
	tell p verify a
	tell p fill a 3 random
	tell p verify a
	puppet_end p
	idle "$BIG"
}

unbind_takes_back()
{
	start
	same "unbind while swap is on" "$(tier_unbind "$BIG")" EBUSY
	tell p verify a
	swap_off "$DEV"
	same "unbind" "$(tier_unbind "$BIG")" 0
	is_free "$BIG"
	tell p verify a
	tell p fill a 4 random
	tell p verify a
	puppet_end p
}

swapon_again()
{
	start
	swap_off "$DEV"
	swap_on "$DEV"
	tell p verify a
	tell p pageout a
	tell p verify a
	puppet_end p
	swap_off "$DEV"
	idle "$BIG"
}

# What zswap holds is newer than the slot
with_zswap()
{
	local z=/sys/module/zswap/parameters/enabled

	[[ -w $z ]] || skip 'no zswap'
	mapping all 16
	limited t 48M
	push $z Y
	cg_run "$CG" "$PROGS/hog" --size 80M --passes 1 --same 50
	echo N >$z
	cg_run "$CG" "$PROGS/hog" --size 80M --passes 1 --zero 30
	swap_off "$DEV"
	idle "$BIG"
}

# An uncorrectable error in a page that is lent: mm can't handle it, and says so; the page never
# comes back into the pool
poisoned()
{
	local bad

	start
	bad=$(tier_stat "$BIG" bad_pages)
	log_mark
	tell p poison a 100 1
	same "MADV_HWPOISON" "$REPLY" ENXIO
	tell p verify a
	puppet_end p
	swap_off "$DEV"
	same "bad_pages" "$(tier_stat "$BIG" bad_pages)" $((bad + 1))
	idle "$BIG"
	same "unbind" "$(tier_unbind "$BIG")" 0
}

values()
{
	local v

	use "$BIG"
	for v in maybe '' 2 ALL; do
		same "map_faults = '$v'" "$(writing "$(ps_attr map_faults)" "$v")" EINVAL
		same "map_faults" "$(stat_of "$DEV" map_faults)" off
	done
	for v in 0 3 1024 4294967297 x ''; do
		same "fault_around_pages = '$v'" \
			"$(writing "$(ps_attr fault_around_pages)" "$v")" EINVAL
		same "fault_around_pages" "$(stat_of "$DEV" fault_around_pages)" 16
	done
}

case_ 'one page a fault' hog_maps all 1 --random
case_ '16 around' hog_maps all 16 --passes 2
case_ '512 around, threads' hog_maps all 512 --threads 4 --random
case_ 'read faults only' hog_maps read 16
case_ 'fork' hog_maps all 16 --fork 3
case_ 'pages are written in place' data_in_place
case_ 'swapoff while pages are lent' swapoff_while_lent
case_ 'giving the namespace back takes them back' unbind_takes_back
case_ 'swapoff and swapon while pages are lent' swapon_again
case_ 'with zswap in between' with_zswap
case_ 'an uncorrectable error in a lent page' poisoned
case_ 'values that are not accepted' values
cases_done
