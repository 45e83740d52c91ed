#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# vm: --mem 1G --nvdimm 512M --nvdimm 256M
# timeout: 900
# Page-in by mapping: data, fork, swapoff with pages lent, giving them back, zswap,
# charging, drain, bad values.

# shellcheck source-path=SCRIPTDIR
# shellcheck disable=SC2317 # cases_done calls them
. "$(dirname "$0")/../lib/mapping.sh"

need_namespaces 1

# A hog in a cgroup, its pages mapped in
hog_maps()
{
	local mode=$1 around=$2

	shift 2
	mapping "$mode" "$around"
	squeezed t 48M
	cg_run "$CG" "$PROGS/hog" --size 112M "$@"
	num "pages mapped in" "$(stat_of "$DEV" mapped_in_pages)" -gt 0
	if (( around == 1 )); then
		same "pages mapped around" "$(stat_of "$DEV" mapped_around_pages)" 0
	fi
	swap_off "$DEV"
	idle "$BIG"
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
	num "pages still lent" "$(tier_stat "$BIG" lent_pages)" -gt 0
	puppet_end p
	idle "$BIG"
}

# After it the modules can go once the pages have moved
swapoff_and_drain()
{
	start_in 64M
	swap_off "$DEV"
	same "modprobe -r" "$(modprobe -r pmemswap 2>/dev/null && echo gone || echo refused)" refused
	echo 1 >"$(ps_attr drain)"
	num "memory.current" "$(<"$CG/memory.current")" -ge $(( 15 << 20 ))
	tell p verify a
	unload pmemswap
	tell p verify a
	puppet_end p
}

# swapoff maps as well
swapoff_maps()
{
	local copied0 mapped0 swapped

	out
	copied0=$(stat_of "$DEV" copied_in_pages)
	mapped0=$(stat_of "$DEV" mapped_in_pages)
	tell p swapped a
	swapped=$REPLY
	swap_off "$DEV"
	same "pages copied" "$(stat_of "$DEV" copied_in_pages)" "$copied0"
	num "pages mapped" $(( $(stat_of "$DEV" mapped_in_pages) - mapped0 )) -ge "$swapped"
	tell p present a
	same "pages present" "$REPLY" "$PAGES"
	tell p verify a
	tell p fill a 3 random
	tell p verify a
	puppet_end p
	idle "$BIG"
}

# ... but doesn't where it was told not to
swapoff_copies()
{
	local swapped

	out
	echo read >"$(ps_attr map_faults)"
	tell p swapped a
	swapped=$REPLY
	swap_off "$DEV"
	num "pages copied" "$(stat_of "$DEV" copied_in_pages)" -ge "$swapped"
	same "lent_pages of the namespace" "$(tier_stat "$BIG" lent_pages)" 0
	tell p verify a
	puppet_end p
	idle "$BIG"
}

# gone PID: nothing but a zombie
gone() { [[ ! -e /proc/$1 || $(awk '/^State:/ { print $2 }' "/proc/$1/status") == Z ]]; }

# What a process that is gone shared isn't shared any more
fork_gone()
{
	local shared0 mapped0

	out
	tell p forkhold a
	kill -9 "$REPLY"
	loop_until 20 gone "$REPLY"
	shared0=$(stat_of "$DEV" fallback_shared)
	mapped0=$(stat_of "$DEV" mapped_in_pages)
	tell p verify a
	same "fallback_shared" "$(stat_of "$DEV" fallback_shared)" "$shared0"
	num "pages mapped" "$(stat_of "$DEV" mapped_in_pages)" -gt "$mapped0"
	tell p fill a 3 random
	tell p verify a
	puppet_end p
	swap_off "$DEV"
	idle "$BIG"
}

# swapped_less KIB: without a program, which takes longer than what is waited for
swapped_less()
{
	local dev used

	while read -r dev _ _ used _; do
		[[ $dev != "/dev/$DEV" ]] || (( used >= $1 )) || return 0
	done </proc/swaps
	return 1
}

# Half-way through, with pages that are shared, lent and yet to be copied: the device stays on
swapoff_killed()
{
	local child used pid

	mapping all 16
	puppet p
	tell p map a 16M nohuge
	tell p fill a 1 random
	paged_out p a $(( PAGES * 9 / 10 ))
	tell p forkhold a
	child=$REPLY
	tell p verify a
	num "shared pages" "$(stat_of "$DEV" shared_pages)" -gt 0
	tell p map b 192M nohuge
	tell p fill b 2 random
	paged_out p b 48000
	tell p verify b 0 2000
	echo read >"$(ps_attr map_faults)"
	used=$(swap_used_kib "$DEV")
	swapoff "/dev/$DEV" &
	pid=$!
	# What is lent is parted from its slot; then copying begins, and it ends with one process at a time
	until swapped_less $(( used - (20 << 10) )) || ! kill -0 $pid; do
		:
	done
	kill -9 $pid
	! wait $pid 2>/dev/null || fail 'swapoff was faster'
	swap_active "$DEV" || fail "$DEV isn't on any more"
	num "KiB that are swapped out still" "$(swap_used_kib "$DEV")" -gt 0
	kill -0 "$child"
	tell p verify a
	tell p verify b 2000 20000
	# It is as good as any
	echo all >"$(ps_attr map_faults)"
	tell p fill b 3 random
	tell p pageout b
	tell p verify b
	tell p fill a 2 random 0 2000
	tell p forkend a
	swap_off "$DEV"
	tell p verify a
	tell p verify b
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

# Swap until it moves, and then memory, of the same cgroup
charged()
{
	local lent

	start_in 64M
	lent=$(( $(stat_of "$DEV" lent_pages) * 4096 ))
	num "memory.swap.current" "$(<"$CG/memory.swap.current")" -ge $lent
	num "memory.current" "$(<"$CG/memory.current")" -lt $(( 8 << 20 ))
	swap_off "$DEV"
	same "unbind" "$(tier_unbind "$BIG")" 0
	num "memory.current after the move" "$(<"$CG/memory.current")" -ge $lent
	same "memory.swap.current after the move" "$(<"$CG/memory.swap.current")" 0
	tell p verify a
	puppet_end p
	loop_until 10 uncharged
}

uncharged() { (( $(<"$CG/memory.current") < 1 << 20 && $(<"$CG/memory.swap.current") == 0 )); }

# Nothing moves where there is no room, and nobody is killed for it
no_room()
{
	start_in 64M
	swap_off "$DEV"
	echo 8M >"$CG/memory.max"
	log_mark
	same "unbind" "$(tier_unbind "$BIG")" EBUSY
	# shellcheck disable=SC2154 # lib/pmemswap.sh sets it
	log_has "$DEV: [0-9]+ pages are lent still: .* processes: ${_puppet_pid[p]}"
	same "killed" "$(cg_event "$CG" oom_kill)" 0
	num "memory.current" "$(<"$CG/memory.current")" -le $(( 8 << 20 ))
	tell p verify a
	echo 64M >"$CG/memory.max"
	same "unbind" "$(tier_unbind "$BIG")" 0
	tell p verify a
	puppet_end p
}

drain()
{
	local f

	start_in 64M
	f=$(ps_attr drain)
	for v in 0 2 yes ''; do
		same "drain = '$v'" "$(writing "$f" "$v")" EINVAL
	done
	echo off >"$(ps_attr map_faults)"
	tell p pin a 3 5
	log_mark
	same "drain while pages are pinned" "$(writing "$f" 1)" EBUSY
	log_has "$DEV: 5 pages are lent still: .* processes: ${_puppet_pid[p]}"
	same "lent_pages" "$(stat_of "$DEV" lent_pages)" 5
	tell p unpin a
	same "drain" "$(writing "$f" 1)" 0
	same "lent_pages" "$(stat_of "$DEV" lent_pages)" 0
	tell p present a
	same "pages present" "$REPLY" "$PAGES"
	num "memory.current" "$(<"$CG/memory.current")" -ge $(( 16 << 20 ))
	tell p verify a
	puppet_end p
	swap_off "$DEV"
	idle "$BIG"
}

# A long-term pin moves lent pages to DRAM, where they are charged
long_pin()
{
	local lent swap

	start_in 64M
	lent=$(stat_of "$DEV" lent_pages)
	swap=$(<"$CG/memory.swap.current")
	tell p longpin a 0 1024
	same "io_uring_register" "$REPLY" 0
	num "lent_pages" "$(stat_of "$DEV" lent_pages)" -le $(( lent - 900 ))
	num "memory.current" "$(<"$CG/memory.current")" -ge $(( 4 << 20 ))
	loop_until 10 eval "(( \$(<'$CG/memory.swap.current') <= $swap - (900 << 12) ))"
	tell p verify a
	tell p unlongpin a

	# What is out comes in by copy. io_uring unpins in the background.
	loop_until 20 goes_out 1000
	tell p longpin a 0 16
	same "io_uring_register" "$REPLY" 0
	num "fallback_pin" "$(stat_of "$DEV" fallback_pin)" -gt 0
	tell p verify a
	tell p unlongpin a
	puppet_end p
	swap_off "$DEV"
	idle "$BIG"
}

# A cgroup doesn't get more DRAM than it may have by pinning
long_pin_no_room()
{
	start_in 64M
	swap_off "$DEV"
	echo 8M >"$CG/memory.max"
	tell p longpin a
	same "io_uring_register" "$REPLY" EBUSY
	num "memory.current" "$(<"$CG/memory.current")" -le $(( 8 << 20 ))
	same "killed" "$(cg_event "$CG" oom_kill)" 0
	tell p verify a
	echo 64M >"$CG/memory.max"
	tell p longpin a
	same "io_uring_register" "$REPLY" 0
	num "memory.current" "$(<"$CG/memory.current")" -ge $(( 16 << 20 ))
	tell p verify a
	puppet_end p
	loop_until 10 uncharged
	idle "$BIG"
}

# Of processes that share an anon_vma only those are named that have the page
holders()
{
	local child

	start_in 64M
	tell p forkhold a
	child=$REPLY
	tell p fill a 2 random 0 5
	tell p pageout a 0 5
	tell p verify a
	tell p pin a 0 5
	log_mark
	same "drain" "$(writing "$(ps_attr drain)" 1)" EBUSY
	log_has "$DEV: [1-5] pages are lent still: .* processes: ${_puppet_pid[p]}\$"
	! log_has "processes: .*\\<$child\\>" >/dev/null || fail "process $child is named"
	grep -qFx "$(feature_on rmap)" "$TIER/features" || fail "$(<"$TIER/features")"
	tell p unpin a
	tell p forkend a
	puppet_end p
	swap_off "$DEV"
	idle "$BIG"
}

# A cgroup that is gone leaves its pages to the one above
cgroup_gone()
{
	start_in 64M inner
	echo "${_puppet_pid[p]}" >/sys/fs/cgroup/cgroup.procs
	rmdir "$CG/inner"
	num "memory.current above" "$(<"$CG/memory.current")" -lt $(( 8 << 20 ))
	same "drain" "$(writing "$(ps_attr drain)" 1)" 0
	num "memory.current above" "$(<"$CG/memory.current")" -ge $(( 15 << 20 ))
	tell p verify a
	puppet_end p
	swap_off "$DEV"
	idle "$BIG"
}

# fell_back REASON: the counter, since last asked
declare -A _fell_back=()
fell_back()
{
	local now

	now=$(stat_of "$DEV" "fallback_$1")
	REPLY=$(( now - ${_fell_back[$1]:-0} ))
	_fell_back[$1]=$now
}

fallbacks()
{
	mapping all 16
	puppet p
	tell p map a 1M nohuge
	tell p fill a 2 same
	tell p pageout a
	tell p verify a
	fell_back filled
	num "fallback_filled" "$REPLY" -gt 0

	echo off >"$(ps_attr map_faults)"
	tell p fill a 3 random
	tell p pageout a
	tell p swapped a
	num "pages out" "$REPLY" -gt 0
	tell p verify a
	fell_back off
	num "fallback_off" "$REPLY" -gt 0
	puppet_end p
	swap_off "$DEV"
	idle "$BIG"
}

tracepoints()
{
	local dir=/sys/kernel/tracing/instances/pmemswap event

	# Else the scheduler is patched as well, which QEMU before 8.1 doesn't always survive
	push /sys/kernel/tracing/options/record-cmd 0
	mkdir "$dir" || skip 'no tracefs'
	at_exit rmdir "$dir"
	use "$BIG"
	_write "$dir/events/pmemswap/enable" 1
	_write "$(ps_attr map_faults)" all
	swap_on "$DEV"
	puppet p
	tell p map a 1M nohuge
	tell p fill a 1 random
	tell p pageout a
	tell p verify a
	echo 1 >"$(ps_attr unlend)"
	tell p verify a
	echo 1 >"$(ps_attr drain)"
	tell p fill a 2 same
	tell p pageout a
	tell p verify a
	puppet_end p
	swap_off "$DEV"
	idle "$BIG"
	for event in slot_write map_in map_fallback take_back unlend drain; do
		grep -q " $event: $DEV " "$dir/trace" || fail "there was no $event"
	done
	grep -q ' map_fallback: .* reason=filled' "$dir/trace" || fail "no reason"
	# addresses are those of the process
	! grep -E 'ffff[0-9a-f]{12}' "$dir/trace" || fail "an address of the kernel's"
}

# FEATURE [VARIABLE...]: its line in "features" when it is on; BTF doesn't have the variables
feature_on()
{
	local names=${*:2}

	[[ -e /sys/kernel/btf/vmlinux ]] || names='all, the kernel has no BTF'
	echo "$1: on${names:+, types unchecked: $names}"
}

features()
{
	use "$BIG"
	same "features" "$(<"$TIER/features")" "$(
		feature_on map_in init_mm, mmlist_lock
		feature_on rmap
		feature_on poison
		feature_on unlend
		feature_on promote
		echo 'next_device: idle')"
	# Nobody can turn off what data depends on
	same "kernel.ftrace_enabled = 0" "$(writing /proc/sys/kernel/ftrace_enabled 0)" EBUSY
	same "kernel.ftrace_enabled" "$(</proc/sys/kernel/ftrace_enabled)" 1
	rmmod pmemswap
	same "features" "$(<"$TIER/features")" ''
}

# All of a device is mapped, and then as much again is wanted: the kernel moves on to the next device
no_dead_end()
{
	[[ -n $SMALL ]] || skip "needs 2 namespaces"
	load_modules "claim=$BIG,$SMALL" size=24M,128M
	DEV=pmemswap0
	push /proc/sys/vm/page-cluster 0
	_write "$(ps_attr map_faults)" all
	swap_on pmemswap1 -p 1
	swap_on pmemswap0 -p 10
	limited t 16M
	puppet p "$CG"
	tell p map a 20M nohuge
	tell p fill a 1 random
	tell p pageout a
	tell p verify a
	num "pages lent" "$(stat_of pmemswap0 lent_pages)" -gt 3000
	tell p map b 40M nohuge
	tell p fill b 2 random
	tell p verify a
	tell p verify b
	same "killed" "$(cg_event "$CG" oom_kill)" 0
	num "pages on the second device" "$(stat_of pmemswap1 written_pages)" -gt 3000
	same "writes failed" "$(stat_of pmemswap0 failed_write_full_pages)" 0
	puppet_end p
	swap_off pmemswap0
	swap_off pmemswap1
	idle "$BIG"
	idle "$SMALL"
}

default()
{
	modprobe pmem_tier claim="$BIG"
	modprobe pmemswap
	DEV=$(dev_of "$BIG")
	same "map_faults" "$(stat_of "$DEV" map_faults)" all
	same "fault_around_pages" "$(stat_of "$DEV" fault_around_pages)" 16
	swap_on "$DEV"
	puppet p
	lend_all
	puppet_end p
	swap_off "$DEV"
	idle "$BIG"
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
case_ 'swapoff, drain, unload' swapoff_and_drain
case_ 'swapoff of what is out' swapoff_maps
case_ 'swapoff with map_faults = read copies' swapoff_copies
case_ 'swapoff that is killed half-way' swapoff_killed
case_ 'after the other process is gone' fork_gone
case_ 'giving the namespace back takes them back' unbind_takes_back
case_ 'swapoff and swapon while pages are lent' swapon_again
case_ 'with zswap in between' with_zswap
case_ 'charged as swap, and as memory when it moves' charged
case_ 'a cgroup without room for what comes back' no_room
case_ 'drain, also with pinned pages' drain
case_ 'of those that share, the holders are named' holders
case_ 'long-term pins' long_pin
case_ 'long-term pins in a cgroup without room' long_pin_no_room
case_ 'a cgroup that is gone' cgroup_gone
case_ 'faults that copy say why' fallbacks
case_ 'tracepoints' tracepoints
case_ 'features' features
case_ 'a device full of lent pages' no_dead_end
case_ 'by default' default
case_ 'values that are not accepted' values
cases_done
