#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# On top of pmemswap.sh: a device that maps on page-in, and either a puppet whose pages are lent, or, one
# device for all of a file because it takes a while to have one, programs that look at it.
#
#	. "$(dirname "$0")/../lib/mapping.sh"
#	mapping_device
#	ktap_plan 2
#	t 'what must hold' in_c 16 PROGRAM CASE
#	t 'the modules can go' unload pmemswap pmem_tier

# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/pmemswap.sh"

ps_attr() { echo "/sys/block/$DEV/pmemswap/$1"; }

# ---- Programs ----

# mapping_device: DEV maps on page-in and isn't swapped on; programs with lib/area.c are told of it
mapping_device()
{
	need_namespaces 1
	at_exit _clean_up
	use "$BIG"
	push /proc/sys/vm/page-cluster 0
	[[ $(writing "$(ps_attr map_faults)" all) == 0 ]] || skip 'this kernel has no page-in by mapping'
	# What is lent stays lent
	_write "$(ps_attr promote_pages_per_second)" 0
	export LENT_DEVICE=/dev/$DEV LENT_STATS=/sys/block/$DEV/pmemswap
	LENT_PFNS=$(ns_pfns "$BIG")
	export LENT_PFNS
}

# around PAGES: swaps the device on for this subtest; so many pages may come in with one fault
around()
{
	_write "$(ps_attr fault_around_pages)" "$1"
	at_exit _leave
	swap_on "$DEV"
}

_swap_off_if_on() { ! swap_active "$DEV" || swap_off "$DEV"; }

_leave()
{
	_puppets_kill
	_swap_off_if_on
}

# Everybody is gone, swap goes off: the pool must be as it was. Pages may take some seconds to return.
nothing_left()
{
	puppets_end
	_swap_off_if_on
	idle "$BIG" 25
}

# prog NAME ARG...: a program with the exit status of lib/area.h; what it says last is why it skips
prog() { _prog "$PROGS/$1" "${@:2}"; }

# prog_in CGROUP NAME ARG...: the same in a cgroup
prog_in() { _prog cg_run "$1" "$PROGS/$2" "${@:3}"; }

_prog()
{
	local out=$_ktap_tmp/prog rc=0

	"$@" >"$out" 2>&1 || rc=$?
	tail -n 40 "$out"
	(( rc != 4 )) || skip "$(tail -n 1 "$out")"
	(( rc == 0 )) || fail "$*: status $rc"
}

# in_c AROUND PROGRAM ARG...: one case of a program
in_c()
{
	around "$1"
	prog "${@:2}"
	nothing_left
}

# ---- A puppet ----

# Pages of region a of the puppet "p"
# shellcheck disable=SC2034 # for who sources it
PAGES=4096

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
