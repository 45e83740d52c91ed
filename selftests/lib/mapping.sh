#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# For tests of page-in by mapping: a device that maps, and a puppet whose pages are lent.

# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/pmemswap.sh"

# Pages of region a of the puppet "p"
# shellcheck disable=SC2034 # for who sources it
PAGES=4096

ps_attr() { echo "/sys/block/$DEV/pmemswap/$1"; }

# mapping MODE [AROUND]: a device that maps
mapping()
{
	use "$BIG"
	push /proc/sys/vm/page-cluster 0
	[[ $(writing "$(ps_attr map_faults)" "$1") == 0 ]] || skip 'this kernel has no page-in by mapping'
	_write "$(ps_attr fault_around_pages)" "${2:-16}"
	# What is lent stays lent
	_write "$(ps_attr promote_pages_per_second)" 0
	swap_on "$DEV"
}

# lend_all: makes region a of puppet "p", 16 MiB, pages it out and maps it in
lend_all()
{
	local i

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

# A puppet "p" with a region a of 16 MiB, all of it lent
start()
{
	mapping all 16
	puppet p
	lend_all
}

# goes_out PAGES: MADV_PAGEOUT; true when that many of region a are out
goes_out()
{
	tell p pageout a
	tell p swapped a
	(( REPLY >= $1 ))
}

# out: a puppet "p" with a region a of 16 MiB that is swapped out
out()
{
	mapping all 16
	puppet p
	tell p map a 16M nohuge
	tell p fill a 1 random
	loop_until 20 goes_out $(( PAGES * 9 / 10 ))
}

# start_in LIMIT [INNER]: as start, in a cgroup or one within it
start_in()
{
	mapping all 16
	limited t "$1"
	if [[ -n ${2:-} ]]; then
		echo +memory >"$CG/cgroup.subtree_control"
		mkdir "$CG/$2"
	fi
	puppet p "$CG${2:+/$2}"
	lend_all
}
