#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# vm: --mem 768M --cpus 4 --nvdimm 128M --disk 400M --disk 300M --append preempt=full
# timeout: 600
# Hooks come and go while other CPUs are inside of what is hooked: faults on what is in pmem and in another swap
# device, eviction of file pages, swapoff, long-term pins. Tasks are preempted anywhere in it, trampolines included.
#
# UNHOOK_ROUNDS makes it longer.

# shellcheck source-path=SCRIPTDIR
# shellcheck disable=SC2317 # cases_done calls them
. "$(dirname "$0")/../lib/cachex.sh"

need_namespaces 1
need_disk
ROUNDS=${UNHOOK_ROUNDS:-$(fewer 5 3)}
HOOKED=/sys/kernel/tracing/enabled_functions
read -ra DISKS <<<"$PMEMSWAP_DISKS"
OTHER=${DISKS[1]:-}
[[ -b $OTHER ]] || skip 'needs two disks'

# hooks REGEX: how many of ours
hooks() { grep -cE "$1" $HOOKED || :; }

swapped_in() { vmstat_of pswpin; }

# More than memory, half of it in the other swap device; and more every time that the one in pmem is on
start_faults()
{
	mkswap "$OTHER" >/dev/null
	swapon -p 1 "$OTHER"
	squeezed memory 24M
	cg_exec "$CG" "$PROGS/hog" --size 48M --threads 3 --random --passes 100000 --text &
	LOADS+=($!)
	# pins, forks and all else that there is
	cg_exec "$CG" "$PROGS/torture" --seed $RANDOM --ops 100000000 --threads 2 --size $((4 << 20)) &
	LOADS+=($!)
}

start_evictions()
{
	fs_on ext4
	mkdir -p /tmp/model
	at_exit rm -rf /tmp/model
	squeezed files 12M 0
	cg_exec "$CG" "$PROGS/filetorture" --dir "$MNT" --save /tmp/model --threads 3 --mib 4 \
		--seed $RANDOM --ops 100000000 &
	LOADS+=($!)
}

# What swapoff left in pmem has to move to DRAM first, and may be in use for a moment
gone()
{
	[[ ! -e /dev/$DEV ]] || echo 1 >"/sys/block/$DEV/pmemswap/drain" || :
	[[ $("$PROGS/call" delete_module pmemswap) == 0 ]]
} 2>/dev/null

more_than() { (( $("${@:2}") > $1 )); }

swap_comes_and_goes()
{
	local before mapped=0 i

	LOADS=()
	start_faults
	modprobe pmem_tier claim="$BIG"
	for (( i = 0; i < ROUNDS; i++ )); do
		# larger than the pool: one hook more
		modprobe pmemswap size=256M
		DEV=$(dev_of "$BIG")
		grep -q '^map_in: on' "$TIER/features" || skip "this kernel can't: $(<"$TIER/features")"
		num "hooks" "$(hooks 'ps_tramp')" -ge 4
		swapon -p 2 "/dev/$DEV"
		loop_until 60 more_than 100 stat_of "$DEV" written_pages
		loop_until 60 more_than 20 stat_of "$DEV" mapped_in_pages
		still_right
		mapped=$((mapped + $(stat_of "$DEV" mapped_in_pages)))
		swapoff "/dev/$DEV"
		loop_until 90 gone
		same "hooks" "$(hooks 'ps_tramp')" 0
		# without, all goes on
		before=$(swapped_in)
		loop_until 60 more_than $((before + 100)) swapped_in
		still_right
	done
	echo "$ROUNDS rounds, $mapped pages mapped in, $(swapped_in) swapped in"
	loads_end
	same "killed" "$(cg_event "$CG" oom_kill)" 0
}

# The hooks of eviction: all that is evicted, nothing of it, all again; and the module goes
cache_comes_and_goes()
{
	local puts=0 i

	LOADS=()
	start_evictions
	modprobe pmem_tier claim="$BIG"
	for (( i = 0; i < ROUNDS; i++ )); do
		modprobe pmem_cachex targets=ext4
		grep -q '^cachex: on' "$TIER/features" || skip "this kernel can't: $(<"$TIER/features")"
		_write $CX/admission all
		same "hooks" "$(hooks 'cx_tramp')" 2
		loop_until 60 more_than 200 cx puts
		[[ $(writing $CX/enabled 0) == @(0|EBUSY) ]]
		same "hooks" "$(hooks 'cx_tramp')" 0
		still_right
		_write $CX/enabled 1
		puts=$((puts + $(cx puts)))
		same "rmmod" "$("$PROGS/call" delete_module pmem_cachex)" 0
		same "hooks" "$(hooks 'cx_tramp')" 0
		still_right
	done
	echo "$ROUNDS rounds, $puts pages evicted to pmem"
	loads_end
	fs_off
}

# Both, and pmem_tier with its hook: loads go on, and nothing of ours is left each time
all_come_and_go()
{
	local i

	LOADS=()
	start_faults
	start_evictions
	for (( i = 0; i < (ROUNDS + 1) / 2; i++ )); do
		modprobe pmem_tier claim="$BIG"
		modprobe pmem_cachex targets=ext4
		_write $CX/admission all
		modprobe pmemswap
		DEV=$(dev_of "$BIG")
		swapon -p 2 "/dev/$DEV"
		loop_until 60 more_than 20 stat_of "$DEV" mapped_in_pages
		loop_until 60 more_than 200 cx puts
		swapoff "/dev/$DEV"
		loop_until 90 gone
		same "rmmod" "$("$PROGS/call" delete_module pmem_cachex)" 0
		# a page that somebody still holds, in a pipe for instance
		loop_until 60 tier_gone
		same "functions that are hooked" "$(<$HOOKED)" ''
		still_right
	done
	echo "$i rounds"
	loads_end
	fs_off
}

tier_gone() { [[ $("$PROGS/call" delete_module pmem_tier) == 0 ]]; }

case_ 'faults' swap_comes_and_goes
case_ 'eviction' cache_comes_and_goes
case_ 'all of it' all_come_and_go
cases_done
