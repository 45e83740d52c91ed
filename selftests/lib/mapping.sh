#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# On top of pmemswap.sh: one device that maps on page-in for all of a file, because it takes a while to
# have one, and programs that look at it.
#
#	. "$(dirname "$0")/../lib/mapping.sh"
#	mapping_device
#	ktap_plan 2
#	t 'what must hold' in_c 16 PROGRAM CASE
#	t 'the modules can go' unload pmemswap pmem_tier

# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/pmemswap.sh"

ps_attr() { echo "/sys/block/$DEV/pmemswap/$1"; }

# mapping_device: DEV maps on page-in and isn't swapped on; programs with lib/area.c are told of it
mapping_device()
{
	need_namespaces 1
	at_exit _clean_up
	use "$BIG"
	push /proc/sys/vm/page-cluster 0
	[[ $(writing "$(ps_attr map_faults)" all) == 0 ]] || skip 'this kernel has no page-in by mapping'
	export LENT_DEVICE=/dev/$DEV LENT_STATS=/sys/block/$DEV/pmemswap
	LENT_PFNS="$(( $(ns_phys "$BIG") / 4096 )) $(( ($(ns_phys "$BIG") + $(ns_bytes "$BIG")) / 4096 ))"
	export LENT_PFNS
}

# around PAGES: swaps the device on for this subtest; so many pages may come in with one fault
around()
{
	_write "$(ps_attr fault_around_pages)" "$1"
	at_exit _leave
	swap_on "$DEV"
}

_leave()
{
	_puppets_kill
	! swap_active "$DEV" || swap_off "$DEV"
}

# Everybody is gone, swap goes off: the pool must be as it was. Pages may take some seconds to return.
nothing_left()
{
	puppets_end
	! swap_active "$DEV" || swap_off "$DEV"
	loop_until 20 pool_idle "$BIG" || :
	idle "$BIG"
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

# pid_of PUPPET
pid_of() { echo "${_puppet_pid[$1]}"; }

# in_c AROUND PROGRAM ARG...: one case of a program
in_c()
{
	around "$1"
	prog "${@:2}"
	nothing_left
}
