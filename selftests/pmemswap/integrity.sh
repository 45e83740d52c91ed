#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# vm: --mem 1G --nvdimm 512M --nvdimm 256M
# timeout: 900
# A hog that verifies every byte of its memory, under a cgroup's limit and under global pressure.

# shellcheck source-path=SCRIPTDIR
# shellcheck disable=SC2317 # cases_done calls them
. "$(dirname "$0")/../lib/pmemswap.sh"

need_namespaces 1

hog() { "$PROGS/hog" "$@"; }

# begin: remembers the counters; after: they moved, and alike to the kernel's own
begin()
{
	out0=$(vmstat_of pswpout) in0=$(vmstat_of pswpin)
	written0=$(stat_of "$DEV" written_pages)
	read0=$(( $(stat_of "$DEV" copied_in_pages) + $(stat_of "$DEV" mapped_in_pages) ))
}

# after PAGES [global]: at least so many went out, and came in. Under global pressure our own
# looking makes swap traffic.
after()
{
	local out in

	out=$(( $(stat_of "$DEV" written_pages) - written0 ))
	in=$(( $(stat_of "$DEV" copied_in_pages) + $(stat_of "$DEV" mapped_in_pages) - read0 ))
	echo "pages out $out, in $in, same-filled $(stat_of "$DEV" same_filled_pages)"
	num "pages written" $out -ge "$1"
	num "pages read" $in -ge "$1"
	[[ ${2:-} != global ]] || return 0
	same "pages written, as the kernel counts them" $(( $(vmstat_of pswpout) - out0 )) $out
	same "pages read, as the kernel counts them" $(( $(vmstat_of pswpin) - in0 )) $in
}

# A test that can't fail is none
can_fail()
{
	local rc=0

	use "$BIG"
	swap_on "$DEV"
	limited t 16M
	cg_run "$CG" "$PROGS/hog" --size 32M --damage || rc=$?
	same "status of a hog with one bit flipped" $rc 1
}

cgroup_limit()
{
	local mib

	mib=$((48 + $(fewer 112 48)))
	use "$BIG"
	swap_on "$DEV"
	squeezed t 48M
	begin
	cg_run "$CG" "$PROGS/hog" --size ${mib}M "$@"
	after $(( (mib - 48) * 220 ))
	same "kills" "$(cg_event "$CG" oom_kill)" 0
}

# More than there is memory, 1.5 times all of it, on all pmem
global()
{
	local total d

	[[ -n $SMALL ]] || skip "needs 2 namespaces"
	load_modules claim=all
	total=$(meminfo MemTotal)
	# All of it would take a debug kernel half an hour
	if (( ${KTAP_SLOW:-1} > 1 )); then
		total=$((400 * 1024))
		leave "$total"
	fi
	for d in pmemswap0 pmemswap1; do
		swap_on $d -p 5
	done
	(( $(meminfo SwapFree) > total * 7 / 10 )) || skip "needs more pmem"
	hog --size $((total * 3 / 2))K --threads 2 --same 5 --zero 5
	for d in pmemswap0 pmemswap1; do
		echo "$d: $(stat_of $d written_pages) out, $(stat_of $d copied_in_pages) copied in"
		num "pages written to $d" "$(stat_of $d written_pages)" -gt 10000
		num "pages read from $d" $(( $(stat_of $d copied_in_pages) +
			$(stat_of $d mapped_in_pages) )) -gt 10000
		same "failed writes" "$(stat_of $d failed_write_full_pages)" 0
	done
}

# Global, and only this much is left for it
global_small()
{
	local left=120

	use "$BIG"
	swap_on "$DEV"
	leave $((left * 1024))
	begin
	hog --size $((left * 3))M --threads 3 --random
	after 30000 global
	puppet_end balloon
}

case_ "the hog finds a flipped bit" can_fail
case_ "under a cgroup's limit, sequential" cgroup_limit --same 10 --zero 5
case_ "under a cgroup's limit, random, several threads" \
	cgroup_limit --random --threads 4 --passes 2 --same 10 --zero 5
case_ "under a cgroup's limit, with children" cgroup_limit --random --threads 2 --fork 3
case_ "under a cgroup's limit, small pages only" cgroup_limit --no-huge --threads 2 --write 60
case_ "1.5 times the memory there is" global
case_ "three times the memory that is free" global_small
cases_done
