#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# vm: --mem 1G --nvdimm 512M --nvdimm 256M
# timeout: 900
# A cgroup that tries: whatever the processes in it map, page out, inherit, pin, drain and take along to
# other cgroups, nobody has more memory than memory.max + memory.swap.max, and all of it is charged.

# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/../lib/mapping.sh"

SEED=${CLIMBER_SEED:-$RANDOM}
MAX=$((12 << 20))
SWAP_MAX=$((12 << 20))
TALLY=/tmp/tally
TRIES=$(( $(nproc) * 64 * 4096 ))	# what is tried to be charged at a time

# The tally's page is charged to us
set_up()
{
	around 16
	head -c 4096 /dev/zero >$TALLY
	at_exit rm $TALLY
	limited climb $MAX $SWAP_MAX
	GROUPS_=("$CG")
	MAPPED=$(mapped)
}

# Pages that came in by mapping, until now
mapped() { echo $(( $(stat_of "$DEV" mapped_in_pages) + $(stat_of "$DEV" mapped_around_pages) )); }

# two: what set_up made, and another one
two()
{
	set_up
	limited climb2 $MAX $SWAP_MAX
	GROUPS_+=("$CG")
}

# within: two without limits in one that has them
within()
{
	set_up
	echo +memory >"$CG/cgroup.subtree_control"
	GROUPS_=("$CG/a" "$CG/b")
	mkdir "${GROUPS_[@]}"
	at_exit cg_remove "$CG/a"
	at_exit cg_remove "$CG/b"
}

_kill_all()
{
	echo 1 >"$1/cgroup.kill"
	loop_until 30 cg_empty "$1"
}

# The most pages that climbers have had
had() { od -A n -t u8 -j 8 -N 8 $TALLY | tr -d ' '; }

# climber FLAG...: in the first cgroup, it knows them all
climber()
{
	local dir knows=()

	for dir in "${GROUPS_[@]}"; do
		knows+=(-g "$dir")
	done
	cg_run "${GROUPS_[0]}" "$PROGS/climber" -s "$SEED" "${knows[@]}" "$@" $TALLY
}

# watch DIRECTORY...: how much of its limits each of them uses, until unwatch
watch()
{
	local dir files=()

	for dir; do
		files+=("$dir/memory.current" "$dir/memory.swap.current")
	done
	rm -f $TALLY.end
	mkfifo $TALLY.end
	"$PROGS/watch" "${files[@]}" <$TALLY.end >$TALLY.watch &
	WATCH=$!
	exec {END}>$TALLY.end
	WATCHED=("$@")
}

# Nobody has been over a limit at any time. The kernel first adds what it charges, and takes it back
# where it is too much: for a moment that shows.
unwatch()
{
	local seen dir i=2

	exec {END}>&-
	wait "$WATCH"
	read -ra seen <$TALLY.watch
	rm $TALLY.end $TALLY.watch
	echo "${seen[0]} samples; most: ${seen[*]:1}"
	num 'samples' "${seen[0]}" -gt 100
	num 'all together' "${seen[1]}" -le $(( ${#WATCHED[@]} * (MAX + SWAP_MAX + 2 * TRIES) ))
	for dir in "${WATCHED[@]}"; do
		num 'memory.current' "${seen[i++]}" -le $((MAX + TRIES))
		num 'memory.swap.current' "${seen[i++]}" -le $((SWAP_MAX + TRIES))
		num 'memory.peak' "$(<"$dir/memory.peak")" -le $MAX
		num 'memory.swap.peak' "$(<"$dir/memory.swap.peak")" -le $SWAP_MAX
	done
}

# Everybody is gone: nothing is charged any more, and the cgroups can go
nothing_charged()
{
	local dir

	# CPUs hold back slots that were freed, with their charge, until swapoff
	nothing_left
	for dir; do
		loop_until 20 free_of_charge "$dir" || {
			grep -H . "$dir"/memory.*current
			grep -v ' 0$' "$dir/memory.stat"
			fail "there is something left in $dir"
		}
		rmdir "$dir"
	done
}

# CPUs hold back some memory as well, but give it up when the limit falls below it
free_of_charge()
{
	local kernel

	echo 0 >"$1/memory.max"
	kernel=$(awk '$1 == "kernel" { print $2 }' "$1/memory.stat")
	(( $(<"$1/memory.swap.current") == 0 && $(<"$1/memory.current") <= kernel && kernel < 65536 ))
}

# drain_all_the_time: until the file is gone
drain_all_the_time()
{
	while [[ -e $TALLY.drain ]]; do
		echo 1 >"$(ps_attr drain)" || :
	done 2>/dev/null
}

# climbs SET_UP FLAG...: it takes more and more until it is killed
climbs()
{
	local rc=0 limit dirs drainer dir start=$SECONDS

	$1
	dirs=("${GROUPS_[@]}")
	[[ $1 != within ]] || dirs=("$CG")
	limit=$(( ${#dirs[@]} * (MAX + SWAP_MAX) ))
	for dir in "${dirs[@]}"; do
		echo 1 >"$dir/memory.oom.group"
	done
	: >$TALLY.drain
	at_exit rm -f $TALLY.drain
	drain_all_the_time &
	drainer=$!
	watch "${dirs[@]}"
	climber "${@:2}" || rc=$?
	rm $TALLY.drain
	wait $drainer
	for dir in "${dirs[@]}"; do
		_kill_all "$dir"
	done
	unwatch
	echo "it had $(had) pages of $((limit / 4096))"
	same 'status' $rc 137
	num 'what it had' $(( $(had) * 4096 )) -le $limit
	# With two, it is killed when one of them is full
	num 'what it had' $(( $(had) * 4096 )) -gt $(( (MAX + SWAP_MAX) * 3 / 4 ))
	(( $(cg_event "${dirs[0]}" oom_kill) + $(cg_event "${dirs[-1]}" oom_kill) )) ||
		fail 'nobody was killed'
	[[ $1 != within ]] || rmdir "${GROUPS_[@]}"
	nothing_charged "${dirs[@]}"
	MAPPED=$(( $(mapped) - MAPPED ))
	echo "$MAPPED pages mapped, $((SECONDS - start)) s"
	num 'pages mapped' $MAPPED -gt 1000
}

# stays SET_UP STEPS FLAG...: it is content with three quarters; all that it has is charged
stays()
{
	local dirs dir start=$SECONDS

	$1
	dirs=("${GROUPS_[@]}")
	[[ $1 != within ]] || dirs=("$CG")
	watch "${dirs[@]}"
	climber -n 18M -c "$2" "${@:3}"
	for dir in "${dirs[@]}"; do
		_kill_all "$dir"
		same 'killed' "$(cg_event "$dir" oom_kill)" 0
	done
	unwatch
	num 'what it had' "$(had)" -gt 4000
	[[ $1 != within ]] || rmdir "${GROUPS_[@]}"
	nothing_charged "${dirs[@]}"
	MAPPED=$(( $(mapped) - MAPPED ))
	echo "$MAPPED pages mapped, $((SECONDS - start)) s"
	num 'pages mapped' $MAPPED -gt 1000
}

echo "# seed $SEED"
mapping_device
ktap_plan 8
t 'it writes, pages out and reads back' climbs set_up -o
t '... and its children write as well' climbs set_up -o -f
t '... pinned for a long term' climbs set_up -o -p
t '... and goes to another cgroup' climbs two -o -f -p
t '... within a cgroup that is limited' climbs within -o -f -p
t 'all it has is charged' stays set_up 200 -o -d
t '... with children and pins' stays set_up 200 -o -d -f -p
t '... in two cgroups' stays two 200 -o -d -f -p
