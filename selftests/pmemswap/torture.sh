#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# vm: --mem 1G --nvdimm 512M --nvdimm 256M
# timeout: 900
# All that can be done to anonymous memory, at random, checked byte for byte against a model. The
# seed is printed; TORTURE_SEED=N repeats it.

# shellcheck source-path=SCRIPTDIR
# shellcheck disable=SC2317 # cases_done calls them
. "$(dirname "$0")/../lib/pmemswap.sh"

need_namespaces 1

SEED=${TORTURE_SEED:-$RANDOM}
OPS=${TORTURE_OPS:-$(fewer 800 200)}
DATA=(${TEST_COMPRESS:+--text})

ps_attr() { echo "/sys/block/$DEV/pmemswap/$1"; }

# A device that maps as told, swapped on, and something to do direct I/O to
torture_device()
{
	FILE=()
	if [[ -n $SMALL ]]; then
		raw_on "$SMALL"
		at_exit raw_off "$SMALL"
		FILE=(--file "$RAW")
	fi
	use "$BIG"
	push /proc/sys/vm/page-cluster 0
	[[ $1 == off || $(writing "$(ps_attr map_faults)" "$1") == 0 ]] ||
		skip 'this kernel has no page-in by mapping'
	[[ -z ${2:-} ]] || _write "$(ps_attr fault_around_pages)" "$2"
	swap_on "$DEV"
}

torture() { exec "$PROGS/torture" --seed "$SEED" --ops "$OPS" "${DATA[@]}" "${FILE[@]}" "$@"; }

finish()
{
	[[ ! -e /dev/$DEV ]] || ! swap_active "$DEV" 2>/dev/null || swap_off "$DEV"
	idle "$BIG"
}

# undisturbed MODE [AROUND]
undisturbed()
{
	torture_device "$@"
	(torture --threads 3)
	num "pages out" "$(stat_of "$DEV" written_pages)" -gt 200
	if [[ $1 == off ]]; then
		same "pages mapped in" "$(stat_of "$DEV" mapped_in_pages)" 0
	else
		num "pages mapped in" "$(stat_of "$DEV" mapped_in_pages)" -gt 0
	fi
	finish
}

# Reclaim of a cgroup that is too small for it, at the same time
under_limit()
{
	torture_device all
	squeezed t 20M
	cg_exec "$CG" "$PROGS/torture" --seed "$SEED" --ops "$OPS" "${DATA[@]}" "${FILE[@]}" --threads 4 &
	wait $! || fail "torture: status $?"
	same "killed" "$(cg_event "$CG" oom_kill)" 0
	num "pages mapped in" "$(stat_of "$DEV" mapped_in_pages)" -gt 0
	finish
}

# Upkeep as it is by default, but more of it. It looks once a second what is hot: one run may be over too soon.
promoting()
{
	local run

	torture_device all
	_write "$(ps_attr promote_pages_per_second)" 1048576
	for (( run = 0; run < 20; run++ )); do
		(torture --threads 4 --seed $((SEED + run)))
		(( $(stat_of "$DEV" promoted_pages) == 0 )) || break
	done
	num "pages promoted" "$(stat_of "$DEV" promoted_pages)" -gt 0
	finish
}

# disturbed CMD...: again and again while it runs
disturbed()
{
	local pid rounds=0

	torture_device all
	torture --threads 3 &
	pid=$!
	while kill -0 $pid 2>/dev/null; do
		"$@"
		rounds=$((rounds + 1))
	done
	wait $pid || fail "torture: status $?"
	echo "$rounds rounds"
	num "rounds" "$rounds" -gt 0
	num "pages mapped in" "$(stat_of "$DEV" mapped_in_pages)" -gt 0
	finish
}

swap_off_and_on()
{
	swap_off "$DEV"
	swap_on "$DEV"
}

# Pinned pages may be in the way
drain_some() { [[ $(writing "$(ps_attr drain)" 1) == @(0|EBUSY) ]]; }

unlend() { _write "$(ps_attr unlend)" 1; }

other_mode()
{
	local modes=(off read all)

	_write "$(ps_attr map_faults)" "${modes[RANDOM % 3]}"
	_write "$(ps_attr fault_around_pages)" $((1 << RANDOM % 10))
}

echo "# seed $SEED"
case_ 'copied' undisturbed off
case_ 'mapped, one page a fault' undisturbed all 1
case_ 'mapped, 16 around' undisturbed all 16
case_ 'mapped, 512 around' undisturbed all 512
case_ 'mapped on read faults only' undisturbed read 16
case_ "under a cgroup's limit" under_limit
case_ 'swapoff and swapon in between' disturbed swap_off_and_on
case_ 'drain in between' disturbed drain_some
case_ 'unlend in between' disturbed unlend
case_ 'hot pages promoted in between' promoting
case_ 'map_faults and fault_around_pages changed in between' disturbed other_mode
cases_done
