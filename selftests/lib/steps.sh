#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# On top of cachex.sh: steps that take something away, put it back or use it, and what each may answer.
#
# They work on NSS (namespaces), a puppet "p" with region a of PUPPET_PAGES pages, cgroups "memory" and "files"
# and a file "held" of 1 MiB at MNT. RANDOM decides, in this shell: what it is seeded with repeats them.

# shellcheck source-path=SCRIPTDIR
# shellcheck disable=SC2317 # steps are called by name
. "$(dirname "${BASH_SOURCE[0]}")/cachex.sh"

POWER=/sys/power
PUPPET_PAGES=2048

# ---- What a step says ----

SAID=() LAST=
# legal WHAT ANSWER PATTERN: what came of a step, and what may come of it
legal()
{
	echo "teardown: $1: $2" >/dev/kmsg
	SAID+=("$1: $2")
	LAST=$2
	# shellcheck disable=SC2053 # a pattern
	[[ $2 == $3 ]] && return
	printf '%s\n' "${SAID[@]: -20}"
	fail "$1 answers '$2', not $3"
}

# did WHAT: a step that either goes well or has failed by now
did() { legal "$1" right right; }

call() { "$PROGS/call" "$@"; }

# runs CMD [ARG...]: its status; what it says is shown only if all fails
runs()
{
	local rc=0

	"$@" >/tmp/runs.log 2>&1 || rc=$?
	echo $rc
}

# Pages of all namespaces: sum FILE
sum()
{
	cat "$TIER"/namespace*/"$1" 2>/dev/null | awk '{ n += $1 } END { print n + 0 }'
}

any_swap() { (( $(wc -l </proc/swaps) > 1 )); }
exists() { [[ -e $ND/devices/$1 ]]; }

# swapped_on NAMESPACE
swapped_on()
{
	local dev

	dev=$(dev_of "$1")
	[[ -n $dev ]] && swap_active "$dev"
}

# nothing_in NAMESPACE: no page is in use, nor can one come into use
nothing_in()
{
	! loaded pmem_cachex && ! swapped_on "$1" &&
		(( $(tier_stat "$1" swap_pages) == 0 && $(tier_stat "$1" cache_pages) == 0 ))
}

# one WORD...: sets ONE
one()
{
	local -a all=("$@")

	ONE=${all[RANDOM % $#]}
}

# ---- Steps: modules ----

load_tier()
{
	local claim memmap

	one '' "$BIG" "$SMALL" all all
	claim=$ONE
	one ram pmem auto
	memmap=$ONE
	one none release release free
	legal "modprobe pmem_tier claim=$claim memmap=$memmap wipe=$ONE" \
		"$(runs modprobe pmem_tier "claim=$claim" "memmap=$memmap" "wipe=$ONE")" 0
}

load_swap()
{
	one '' 512M,256M
	legal "modprobe pmemswap size=$ONE" "$(runs modprobe pmemswap ${ONE:+"size=$ONE"})" 0
}

load_cache()
{
	legal "modprobe pmem_cachex" "$(runs modprobe pmem_cachex targets=ext4)" 0
	_write $CX/admission all
}

# All pages are back, but the last ones may not have been put away yet
goes_at_once()
{
	[[ $(call delete_module "$1") == @(0|ENOENT) ]]
}

rm_swap()
{
	local may=ENOENT

	if loaded pmemswap; then
		may='@(0|EAGAIN)'
		! any_swap || may=EAGAIN
		if [[ $may != EAGAIN ]] && (( $(sum swap_pages) == 0 )); then
			loop_until 10 goes_at_once pmemswap
			may=ENOENT
		fi
	fi
	legal 'rmmod pmemswap' "$(call delete_module pmemswap)" "$may"
}

rm_cache()
{
	local may=ENOENT

	! loaded pmem_cachex || may=0
	legal 'rmmod pmem_cachex' "$(call delete_module pmem_cachex)" "$may"
}

# Pages of the page cache that somebody holds keep it
rm_tier()
{
	local may=ENOENT

	if loaded pmemswap || loaded pmem_cachex; then
		may=EAGAIN
	elif loaded pmem_tier; then
		may='@(0|EAGAIN)'
		(( $(sum cache_pages) > 0 )) || may=0
	fi
	legal 'rmmod pmem_tier' "$(call delete_module pmem_tier)" "$may"
	[[ $LAST != 0 ]] || { is_free "$BIG" && is_free "$SMALL"; }
}

# ---- Steps: namespaces ----

take()
{
	local may=0 ns

	one "${NSS[@]}"
	ns=$ONE
	[[ -z $(ns_driver "$ns") ]] || may=EBUSY
	loaded pmem_tier || may='open ENOENT'
	legal "bind $ns" "$(tier_bind "$ns")" "$may"
	[[ $LAST != 0 ]] || is_held "$ns"
}

give_back()
{
	local may='@(0|EBUSY)' ns

	one "${NSS[@]}"
	ns=$ONE
	if ! loaded pmem_tier; then
		may='open ENOENT'
	elif ! held "$ns"; then
		may=ENODEV
	elif swapped_on "$ns"; then
		may=EBUSY
	elif nothing_in "$ns"; then
		may=0
	fi
	legal "unbind $ns" "$(tier_unbind "$ns")" "$may"
	if [[ $LAST == 0 ]]; then
		is_free "$ns"
	elif [[ $LAST == EBUSY ]]; then
		is_held "$ns"
	fi
}

# It has the block device open while it asks, and fails (EISDIR) when there is none. When it is refused the
# namespace for another reason it says 0 all the same.
with_ndctl()
{
	local may='@(0|240|235)' ns was=free

	one "${NSS[@]}"
	ns=$ONE
	if swapped_on "$ns"; then
		# less EBUSY
		was=active may=240
	elif held "$ns"; then
		was=held
	fi
	legal "ndctl disable-namespace $ns ($was)" "$(runs ndctl disable-namespace "$ns")" "$may"
	case $was in
	active)	is_held "$ns" ;;
	free)	is_free "$ns" ;;
	esac
}

# Its contents are gone when it comes again: another pool
destroy()
{
	local ns uuid=''

	one "${NSS[@]}"
	ns=$ONE
	! held "$ns" || uuid=$(tier_stat "$ns" uuid)
	[[ $(loaded pmem_tier && tier_unbind "$ns") != EBUSY ]] || return 0
	raw_on "$ns"
	"$PROGS/blkdata" write "$RAW" 0 2000 "$RANDOM" random
	wipe_raw "$ns"
	raw_off "$ns"
	unload_nd_pmem
	did "destroy $ns"
	loaded pmem_tier || return 0
	[[ $(ns_driver "$ns") == pmem_tier ]] || legal "bind $ns" "$(tier_bind "$ns")" 0
	is_held "$ns"
	[[ $(tier_stat "$ns" uuid) != "$uuid" ]] || fail "$ns has the uuid that it had"
}

over_or_waits() { is_over "$1" || log_since | grep -qF "$2: removal waits"; }

# Its region goes: nobody asks us. While it is in use, the removal waits
remove_region()
{
	local ns region pid dev

	one "${NSS[@]}"
	ns=$ONE
	region=$(region_of "$ns")
	log_mark
	_write "$ND/drivers/nd_region/unbind" "$region" &
	pid=$!
	loop_until 60 over_or_waits $pid "$ns"
	while read -r dev _; do
		is_over $pid || tell p verify a
		legal "swapoff $dev while $region goes" "$(call swapoff "$dev")" 0
	done < <(tail -n +2 /proc/swaps)
	# what is pinned keeps it as well; a child has the pipe, too
	file_let_go
	unpin
	child_ends
	loop_until 90 is_over $pid
	wait $pid
	! exists "$ns" || fail "$ns is there, and its region isn't"
	! held "$ns" || fail "$ns is held, and isn't there"
	legal "$region goes and comes" "$(writing "$ND/drivers/nd_region/bind" "$region")" 0
	# Returns when its namespaces have been probed: who has them is known then
	cat "$ND"/devices/ndbus*/wait_probe >/dev/null
	exists "$ns" || fail "$ns isn't there, and its region is"
}

# ---- Steps: swap ----

# Sets DEV to the device of some namespace, or one that there isn't
some_device()
{
	one "${NSS[@]}"
	DEV=$(dev_of "$ONE")
	DEV=${DEV:-pmemswap7}
}

swap_goes_on()
{
	local may=0

	some_device
	! swap_active "$DEV" || may=EBUSY
	[[ -e /dev/$DEV ]] || may=ENOENT
	legal "swapon $DEV" "$(call swapon "/dev/$DEV")" "$may"
}

swap_goes_off()
{
	local may=EINVAL

	some_device
	! swap_active "$DEV" || may=0
	[[ -e /dev/$DEV ]] || may=ENOENT
	legal "swapoff $DEV" "$(call swapoff "/dev/$DEV")" "$may"
}

# ---- Steps: files of sysfs ----

# writes FILE VALUE PATTERN
writes()
{
	local may=$3

	[[ -e $1 ]] || may='open ENOENT'
	legal "${1##*/} of $(basename "$(dirname "$1")") <- $2" "$(writing "$1" "$2")" "$may"
}

swap_file()
{
	local file value may

	some_device
	one 'drain 1 @(0|EBUSY)' 'drain 1 @(0|EBUSY)' 'unlend 1 0' 'compress_now 1 0' 'compress cold 0' \
		'compress always 0' 'compress off 0' 'cold_age_ms 0 0' 'map_faults off 0' \
		'map_faults all 0' 'map_faults read 0' 'fault_around_pages 1 0' 'fault_around_pages 512 0' \
		'promote_pages_per_second 0 0' 'promote_pages_per_second 1048576 0'
	read -r file value may <<<"$ONE"
	[[ ! -e /dev/$DEV ]] || DEV=$DEV/pmemswap
	writes "/sys/block/$DEV/$file" "$value" "$may"
}

cache_file()
{
	local file value may

	one 'enabled 0 @(0|EBUSY)' 'enabled 1 0' 'enabled 1 0' 'drop 1 @(0|EBUSY)' 'admission all 0' \
		'admission reuse 0' 'max_pages 100 0' 'max_pages 0 0' 'targets ext4 0' \
		'promote_pages_per_second 0 0' 'promote_pages_per_second 1048576 0'
	read -r file value may <<<"$ONE"
	writes "$CX/$file" "$value" "$may"
}

tier_file()
{
	one "${NSS[@]}"
	writes "$TIER/$ONE/reserve_pages" $((RANDOM % 30000)) 0
}

# ---- Steps: power ----

HIBERNATED=0

# power STATE LEVEL: as far as LEVEL (see pm_test), and back
power()
{
	local may=0

	_write $POWER/pm_test "$2"
	if [[ $1 == disk ]]; then
		! loaded pmem_cachex || may='@(0|EBUSY)'
		(( $(sum swap_pages) == 0 && $(sum cache_pages) == 0 )) || may='@(0|EBUSY)'
		! any_swap || may=EBUSY
		# a memory map in pmem: the kernel's own
		! grep -qx pmem "$TIER"/namespace*/memmap 2>/dev/null || may=EBUSY
	fi
	legal "$1, $2" "$(writing $POWER/state "$1")" "$may"
}

# It spins for 5 s when it isn't refused: not too often
hibernate()
{
	(( HIBERNATED < 2 )) || any_swap || return 0
	one freezer devices core
	power disk "$ONE"
	[[ $LAST != 0 ]] || HIBERNATED=$((HIBERNATED + 1))
}

SUSPENDS=('freeze freezer' 'freeze devices' 'freeze platform')

suspend()
{
	one "${SUSPENDS[@]}"
	# shellcheck disable=SC2086 # two words
	power $ONE
}

# ---- Steps: who holds pages ----

PINNED='' LONG_PINNED='' FORKED='' HOLDING=''

look()
{
	tell p verify a
	did 'the puppet looks'
}

goes_out()
{
	tell p pageout a
	did 'the puppet is swapped out'
}

writes_anew()
{
	tell p fill a "$RANDOM" mixed
	did 'the puppet writes'
}

# Up to 16 pages in a pipe: as long as they are, they can't move
pin()
{
	[[ -z $PINNED ]] || return 0
	goes_out
	tell p verify a
	tell p pin a $((RANDOM % (PUPPET_PAGES - 16))) 16
	PINNED=1
	did 'a pin'
}

# undo VAR CMD WHAT: the puppet lets go of what VAR says it has
undo()
{
	local -n has=$1

	[[ -n $has ]] || return 0
	tell p "$2" a
	has=''
	did "$3"
}

unpin() { undo PINNED unpin 'unpin'; }

# A fixed buffer of io_uring: they move to DRAM first
long_pin()
{
	[[ -z $LONG_PINNED ]] || return 0
	tell p longpin a $((RANDOM % (PUPPET_PAGES - 64))) 64
	legal 'a long pin' "$REPLY" '@(0|EBUSY)'
	[[ $LAST != 0 ]] || LONG_PINNED=1
}

long_unpin() { undo LONG_PINNED unlongpin 'the end of a long pin'; }

forks()
{
	[[ -z $FORKED ]] || return 0
	tell p forkhold a
	FORKED=1
	did 'fork'
}

child_ends() { undo FORKED forkend 'the child looks, and ends'; }

# 16 pages of a file in a pipe
file_held()
{
	[[ -z $HOLDING ]] || return 0
	FILE=$MNT/held hold pipe $((RANDOM % 100)) 16
	HOLDING=1
	legal 'pages of a file in a pipe' "$HELD" held
}

file_let_go()
{
	[[ -n $HOLDING ]] || return 0
	HOLDING=''
	let_go || fail "what is in the pipe is wrong: status $?"
	did 'they are let go of'
}

# ---- Steps: pressure ----

squeeze()
{
	local cg

	one memory files
	cg=$CG_ROOT/ktap-$ONE
	echo 64M 2>/dev/null >"$cg/memory.reclaim" || :
	did "reclaim of $ONE"
}

drop_caches()
{
	one 1 2 3
	echo "$ONE" >/proc/sys/vm/drop_caches
	did "drop_caches <- $ONE"
}
