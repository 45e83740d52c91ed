#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# vm: --mem 1G --nvdimm 256M --nvdimm 128M --disk 400M
# timeout: 900
# All that takes something away, in any order, under load and with pinned pages: each step answers as it must, no
# data is lost, and when all is torn down everything is as it was.
#
# TEARDOWN_SEED repeats a walk; TEARDOWN_ROUNDS and TEARDOWN_STEPS (of a round) make it longer.

# shellcheck source-path=SCRIPTDIR
# shellcheck disable=SC2317 # steps are called by name
. "$(dirname "$0")/../lib/steps.sh"

need_namespaces 2
need_disk

SEED=${TEARDOWN_SEED:-$(( (RANDOM << 15 | RANDOM) + 1 ))}
ROUNDS=${TEARDOWN_ROUNDS:-2}
STEPS=${TEARDOWN_STEPS:-$(fewer 60 30)}
diag "TEARDOWN_SEED=$SEED"

NSS=("$BIG" "$SMALL")
MODEL=/tmp/model
MODEL_OF=(--threads 3 --mib 4)

# ---- A round ----

# Somebody reads and writes all our files meanwhile
poke()
{
	local f

	trap - EXIT ERR
	set +e
	RANDOM=$1
	while :; do
		for f in "$TIER"/*/* /sys/block/pmemswap*/pmemswap/* "$CX"/* /sys/kernel/debug/pmemswap/*/*; do
			case ${f##*/} in
			unlend|compress_now)	(( RANDOM % 8 )) || echo 1 >"$f" ;;
			drain|drop)		(( RANDOM % 64 )) || echo 1 >"$f" ;;
			map_faults)		(( RANDOM % 4 )) || echo all >"$f" ;;
			compress)		(( RANDOM % 4 )) || echo cold >"$f" ;;
			reserve_pages)		echo $((RANDOM % 1000)) >"$f" ;;
			*)			mapfile <"$f" ;;
			esac
		done
		sleep 0.1
	done >/dev/null 2>&1
}

poke_ends()
{
	kill -9 "$POKE_PID" || :
	wait "$POKE_PID" || :
} 2>/dev/null

# What there is of ours anywhere, and of the namespaces
everything()
{
	local f

	grep -iE 'persistent|namespace|pmem' /proc/iomem || :
	cat /proc/swaps /sys/kernel/tracing/enabled_functions
	awk '$1 ~ /pmem/ { print $1 }' /proc/modules
	ls -d /dev/pmem* /sys/block/pmem* /sys/kernel/pmem* /sys/kernel/debug/pmem* \
		/sys/bus/nd/drivers/*pmem* /sys/kernel/slab/*pmem* 2>/dev/null || :
	# a worker of the kernel's shows what it did last
	cat /proc/[0-9]*/comm 2>/dev/null | awk '/pmem/ && !/^kworker\/.*:/'
	for f in "${NSS[@]}"; do
		echo "$f: $(ns_driver "$f") $(ns_bytes "$f")"
	done
}

start_load()
{
	squeezed files 16M 0
	cg_exec "$CG" "$PROGS/filetorture" --dir "$MNT" --save $MODEL "${MODEL_OF[@]}" \
		--seed "$1" --ops 100000000 &
	LOADS=($!)
	# no limit: swap may be off
	limited memory max
	cg_exec "$CG" "$PROGS/torture" --seed "$1" --ops 100000000 --threads 2 --text &
	LOADS+=($!)
	puppet p
	tell p map a $((PUPPET_PAGES * 4096)) nohuge
	tell p fill a 1 mixed
	poke "$1" &
	POKE_PID=$!
	at_exit poke_ends
}

# Weighted by repetition
TEARDOWN=(rm_swap rm_cache rm_tier give_back give_back with_ndctl destroy remove_region swap_goes_off swap_goes_off)
BUILDUP=(load_tier load_swap load_swap load_cache load_cache take take swap_goes_on swap_goes_on)
USE=(swap_file swap_file swap_file cache_file cache_file tier_file look goes_out goes_out writes_anew pin unpin
	long_pin long_unpin forks child_ends file_held file_let_go squeeze squeeze squeeze drop_caches)

some_step()
{
	case $((RANDOM % 8)) in
	[0-2])	one "${TEARDOWN[@]}" ;;
	[3-4])	one "${BUILDUP[@]}" ;;
	*)	one "${USE[@]}" ;;
	esac
	STEP=$ONE
}

all_off()
{
	local dev

	while read -r dev _; do
		legal "swapoff $dev" "$(call swapoff "$dev")" 0
	done < <(tail -n +2 /proc/swaps)
}

# Everything goes, in the middle of it all or after it
tear_down()
{
	local ns m

	(( $1 % 2 )) || all_off
	look
	unpin
	long_unpin
	child_ends
	file_let_go
	poke_ends
	loads_end
	all_off
	look
	puppets_end
	fs_off
	# the guest's own filesystem may be of a type that is a target
	! loaded pmem_cachex || legal 'enabled <- 0' "$(writing "$CX/enabled" 0)" 0
	for ns in "${NSS[@]}"; do
		! held "$ns" || idle "$ns" 30
	done
	for m in pmemswap pmem_cachex pmem_tier; do
		loop_until 10 goes_at_once $m
	done
	unload_nd_pmem
}

round()
{
	local before i prev='' step
	local -A pairs seen

	RANDOM=$((SEED + $1))
	fs_on ext4
	head -c 1M /dev/urandom >"$MNT/held"
	mkdir -p $MODEL
	at_exit rm -rf $MODEL
	before=$(everything)
	start_load $((SEED + $1))
	modprobe pmem_tier claim=all
	load_swap
	load_cache
	swap_goes_on
	for (( i = 0; i < STEPS; i++ )); do
		some_step
		step=$STEP
		$step
		still_right
		! is_over "$POKE_PID" || fail 'who reads and writes all files ended'
		seen[$step]=1
		pairs[$prev,$step]=1
		prev=$step
	done
	tear_down "$1"
	same "what is left" "$(everything)" "$before"
	fs_check
	mount -t ext4 "$DISK" "$MNT"
	"$PROGS/filetorture" --dir "$MNT" --check $MODEL "${MODEL_OF[@]}"
	printf '%s\n' "${SAID[@]##*: }" | sort | uniq -c
	echo "$i steps, ${#seen[@]} kinds of them, ${#pairs[@]} orders of two"
}

# ---- Suspend ----

# What is set, and what is where
state()
{
	cat /proc/swaps
	find "$TIER" "/sys/block/$DEV/pmemswap" "$CX" -type f -perm -600 -exec grep -H '' {} +
	grep -H '' "$TIER"/namespace*/*_pages "/sys/block/$DEV/pmemswap"/{lent_pages,slots_used,raw_slots,same_filled_slots}
}

# All stays as it is: pages that are swapped out, lent, pinned, or of files
suspended()
{
	local before how

	fs_on ext4
	cachex "$(fs_number)" "$BIG" "$SMALL"
	file_in_pmem
	modprobe pmemswap
	DEV=$(dev_of "$BIG")
	_write "/sys/block/$DEV/pmemswap/promote_pages_per_second" 0
	! grep -q '^map_in: idle\|^map_in: on' "$TIER/features" ||
		_write "/sys/block/$DEV/pmemswap/map_faults" all
	swap_on "$DEV"
	puppet_out p 8M 1800
	tell p map b 1M nohuge
	tell p fill b 2 mixed
	tell p verify a
	tell p pageout b
	tell p pin a 10 16
	# Once through it: a CPU that goes offline gives back the slots that it took for later
	# shellcheck disable=SC2086 # two words
	power ${SUSPENDS[-1]}
	before=$(state)
	for how in "${SUSPENDS[@]}"; do
		# shellcheck disable=SC2086 # two words
		power $how
		same "after $how" "$(state)" "$before"
	done
	tell p unpin a
	tell p verify a
	tell p verify b
	# shellcheck disable=SC2153 # file_in_pmem sets it
	cmp "$FILE" "$REF"
	puppet_end p
	swap_off "$DEV"
	_write "$CX/drop" 1
}

if [[ -w $POWER/pm_test ]]; then
	push /sys/module/suspend/parameters/pm_test_delay 0
	at_exit _write $POWER/pm_test none
	TEARDOWN+=(hibernate suspend)
	! grep -qw mem $POWER/state || SUSPENDS+=('mem devices' 'mem platform' 'mem core')
	case_ 'suspend: all stays as it is' suspended
else
	diag 'this kernel has no trial of suspend and hibernation (PM_DEBUG): left out'
fi
for (( r = 1; r <= ROUNDS; r++ )); do
	case_ "round $r" round $r
done
cases_done
