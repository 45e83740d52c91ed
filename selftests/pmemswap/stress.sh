#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# vm: --mem 1G --nvdimm 512M --nvdimm 256M
# timeout: 900
# Loads, hogs, kills, swapon and unbind in random order and all at once.

# shellcheck source-path=SCRIPTDIR
# shellcheck disable=SC2317 # cases_done calls them
. "$(dirname "$0")/../lib/pmemswap.sh"

need_namespaces 1

SEED=${SEED:-4711}

# Whole lives, with hogs that are killed at a random moment
lives()
{
	local round hogs pid rc

	RANDOM=$SEED
	limited t 64M
	for (( round = 1; round <= $(fewer 6 3); round++ )); do
		if [[ -n $SMALL ]] && (( RANDOM % 2 )); then
			use "$SMALL" memmap=pmem
		else
			use "$BIG" memmap=ram
		fi
		swap_on "$DEV"
		hogs=()
		for _ in 1 2 3; do
			cg_exec "$CG" "$PROGS/hog" --size $((20 + RANDOM % 40))M --random \
				--passes $((1 + RANDOM % 3)) --threads $((1 + RANDOM % 2)) \
				--same $((RANDOM % 20)) --seed "$RANDOM" --fork $((RANDOM % 2)) &
			hogs+=($!)
		done
		sleep 0.$((RANDOM % 10))
		(( round % 3 == 0 )) || kill -9 "${hogs[RANDOM % 3]}" || echo "that one is done"
		(( round % 2 == 0 )) || kill -9 "${hogs[RANDOM % 3]}" || echo "that one is done"
		for pid in "${hogs[@]}"; do
			rc=0
			{ wait "$pid" || rc=$?; } 2>/dev/null
			(( rc == 0 || rc == 137 )) || fail "round $round, seed $SEED: hog: status $rc"
		done
		# Children of a killed hog
		echo 1 >"$CG/cgroup.kill"
		loop_until 20 cg_empty "$CG"
		echo "round $round: $(stat_of "$DEV" written_pages) pages out on $DEV"
		swap_off "$DEV"
		idle "$(stat_of "$DEV" namespace)"
		unload pmemswap pmem_tier
	done
}

# Races for the namespace between swapon, unbind and open
races()
{
	use "$BIG"
	"$PROGS/swaprace" "$BIG" "/dev/$DEV" "$(fewer 40)"
	is_held "$BIG"
	same "deleted devices" "$(count deleted /proc/swaps)" 0
}

# rmmod of pmemswap against swapon
rmmod_race()
{
	local on=0 refused=0 i

	modprobe pmem_tier claim="$BIG"
	for (( i = $(fewer 15 5); i > 0; i-- )); do
		modprobe pmemswap
		rmmod pmemswap 2>/dev/null &
		if swapon /dev/pmemswap0 2>/dev/null; then
			on=$((on + 1))
			swap_active pmemswap0
		fi
		wait $! || refused=$((refused + 1))
		same "deleted devices" "$(count deleted /proc/swaps)" 0
		if swap_active pmemswap0; then
			loaded pmemswap
			swap_off pmemswap0
		fi
	done
	echo "swapon won $on times, rmmod was refused $refused times"
	modprobe pmemswap
	idle "$BIG"
}

# Binding and unbinding one namespace while the other is under load and all statistics are read
bind_under_load()
{
	local hog reader rounds

	[[ -n $SMALL ]] || skip "needs 2 namespaces"
	use "$BIG"
	swap_on "$DEV"
	squeezed t 48M
	cg_exec "$CG" "$PROGS/hog" --size 128M --threads 2 --random --passes 1000000 &
	hog=$!
	read_all &
	reader=$!
	for (( rounds = 0; rounds < $(fewer 20 5); rounds++ )); do
		same "bind" "$(tier_bind "$SMALL")" 0
		same "unbind" "$(tier_unbind "$SMALL")" 0
	done
	kill $hog
	wait $hog || fail "hog: status $?"
	kill $reader
}

read_all()
{
	trap - EXIT
	while :; do
		cat "$TIER"/*/* /sys/block/pmemswap*/pmemswap/* || :
	done >/dev/null 2>&1
}

case_ "load, swapon, hogs, kills, swapoff, unload" lives
case_ "swapon against unbind against open" races
case_ "swapon against rmmod" rmmod_race
case_ "bind and unbind of one beside load on the other" bind_under_load
cases_done
