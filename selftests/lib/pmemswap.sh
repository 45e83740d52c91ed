#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# On top of ktap.sh: namespaces, the two modules, swap, pool checks, processes whose memory we drive.
#
#	. "$(dirname "$0")/../lib/pmemswap.sh"
#	case_ 'what must hold' some_function its arguments
#	cases_done
#
# A case is a subtest of ktap.sh (a subshell under "set -e") with an end of its own: swap goes off,
# every page must be back in its pool, the modules must unload. However a case ends, its processes,
# mounts, swap and modules are gone before the next one begins.

# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/ktap.sh"

SELFTESTS=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
PROGS=${PROGS:-$SELFTESTS/progs}
TIER=/sys/kernel/pmem_tier
MNT=/tmp/mnt
GUARD_PAGES=64		# 256 KiB at either end of a namespace
export LC_ALL=C

# ---- Cases ----

_cases=()

# case_ NAME FUNCTION [ARG...]
case_() { _cases+=("$(printf '%q ' "$@")"); }

# Runs them
cases_done()
{
	local c

	ktap_plan ${#_cases[@]}
	for c in "${_cases[@]}"; do
		eval "_run_case $c"
	done
}

_run_case() { t "$1" _case "${@:2}"; }

_case()
{
	local start=$EPOCHREALTIME d ns

	at_exit _clean_up
	"$@"
	puppets_end
	while read -r d _; do
		swapoff "$d"
	done < <(tail -n +2 /proc/swaps)
	for ns in $(ns_list); do
		! held "$ns" || idle "$ns"
	done
	unload pmemswap pmem_cachex pmem_tier
	awk -v a="$start" -v b="$EPOCHREALTIME" 'BEGIN { printf "%.1f s\n", b - a }'
}

# Undoes whatever a case may have left
_clean_up()
{
	local d ns

	_puppets_kill
	for d in $(jobs -p); do
		kill -9 "$d" 2>/dev/null
		wait "$d" 2>/dev/null
	done
	! mounted_on $MNT || umount $MNT
	while read -r d _; do
		swapoff "$d"
	done < <(tail -n +2 /proc/swaps)
	unload pmemswap pmem_cachex pmem_tier
	for ns in $(ns_list); do
		[[ $(ns_driver "$ns") != nd_pmem ]] || ns_unbind "$ns"
		[[ $(<"$ND/devices/$ns/force_raw") == 0 ]] ||
			echo 0 >"$ND/devices/$ns/force_raw"
	done
}

# mounted_on DIRECTORY: without looking at it, which fails when the filesystem has been shut down
mounted_on() { grep -q "^[^ ]* $1 " /proc/self/mounts; }

# ---- What must hold ----

# num WHAT A OP B: as in num "pages" "$n" -gt 0
num()
{
	test "$2" "$3" "$4" || fail "$1: not $2 $3 $4"
}

# fails REGEX CMD...: CMD must fail and say something that matches
fails()
{
	local re=$1 out

	shift
	out=$("$@" 2>&1) && fail "'$*' succeeded"
	[[ $out =~ $re ]] || fail "'$*' failed with '$out', not /$re/"
}

# count REGEX FILE...: number of lines that match
count() { cat "${@:2}" | awk -v re="$1" '$0 ~ re { n++ } END { print n + 0 }'; }

# is VALUE CMD [ARG...]: what CMD prints, for loop_until
is() { [[ $("${@:2}") == "$1" ]]; }

# writing FILE VALUE: prints what write(2) says: "0" or the error's name
writing() { "$PROGS/wr" "$@"; }

# ---- Namespaces ----

# Sets BIG and SMALL, the largest namespaces
# shellcheck disable=SC2034 # for the tests
need_namespaces()
{
	local -a all

	mapfile -t all < <(
		for ns in $(ns_list); do
			echo "$(ns_bytes "$ns") $ns"
		done | sort -k1,1nr -k2 | cut -d' ' -f2)
	(( ${#all[@]} >= $1 )) || skip "needs $1 namespaces, there are ${#all[@]}"
	BIG=${all[0]}
	SMALL=${all[1]:-}
}

ns_bytes() { cat "$ND/devices/$1/size"; }
ns_pages() { echo $(( $(ns_bytes "$1") / 4096 )); }
ns_phys() { printf '%d\n' "$(<"$ND/devices/$1/resource")"; }
# ns_pfns NAMESPACE: its first page frame, and the one after the last
ns_pfns() { echo $(( $(ns_phys "$1") / 4096 )) $(( ($(ns_phys "$1") + $(ns_bytes "$1")) / 4096 )); }
ns_holder() { cat "$ND/devices/$1/holder"; }

held() { [[ -d $TIER/$1 ]]; }

is_held()
{
	same "driver of $1" "$(ns_driver "$1")" pmem_tier
	held "$1" || fail "there is no $TIER/$1"
}

is_free()
{
	same "driver of $1" "$(ns_driver "$1")" ''
	! held "$1" || fail "$TIER/$1 is still there"
}

# These print "0" or the error's name
region_of() { basename "$(dirname "$(readlink -f "$ND/devices/$1")")"; }

# The kernel takes what is written there for the number of a page that failed
# shellcheck disable=SC2034 # for the tests
CORRUPT=/sys/kernel/debug/hwpoison/corrupt-pfn

tier_bind() { writing "$ND/drivers/pmem_tier/bind" "$1"; }
tier_unbind() { writing "$ND/drivers/pmem_tier/unbind" "$1"; }
pmem_bind() { writing "$ND/drivers/nd_pmem/bind" "$1"; }

# nd_pmem, without the namespaces that it takes when it is loaded
load_nd_pmem()
{
	local ns

	! loaded nd_pmem || return 0
	modprobe nd_pmem
	for ns in $(ns_list); do
		[[ $(ns_driver "$ns") != nd_pmem ]] || ns_unbind "$ns"
	done
}

# It comes first to a new namespace when it was loaded first
unload_nd_pmem() { ! loaded nd_pmem || modprobe -r nd_pmem; }

# raw_on NAMESPACE: nd_pmem drives it as it is, whatever is on it. Sets RAW to the device.
raw_on()
{
	load_nd_pmem
	if [[ $(<"$ND/devices/$1/force_raw") == 0 ]]; then
		[[ $(ns_driver "$1") != nd_pmem ]] || ns_unbind "$1"
		echo 1 >"$ND/devices/$1/force_raw"
	fi
	[[ $(ns_driver "$1") == nd_pmem ]] || ns_bind "$1" nd_pmem
	RAW=$(echo "$ND/devices/$1"/block/pmem*)
	RAW=/dev/${RAW##*/}
	[[ -b $RAW ]] || fail "no raw block device of $1"
}

raw_off()
{
	[[ $(ns_driver "$1") != nd_pmem ]] || ns_unbind "$1"
	echo 0 >"$ND/devices/$1/force_raw"
}

# Zeroes the guard areas of a namespace, so that nothing is recognised there; of a raw one.
# libnvdimm remembers what ndctl made of it.
wipe_namespace()
{
	raw_on "$1"
	wipe_raw "$1"
	raw_off "$1"
	# ENXIO just says that there is no label that could keep it
	echo >"$ND/devices/$1/holder_class" 2>/dev/null || :
	same "holder_class of $1" "$(<"$ND/devices/$1/holder_class")" ''
}

wipe_raw()
{
	dd if=/dev/zero of="$RAW" bs=4096 count=$GUARD_PAGES oflag=direct status=none
	dd if=/dev/zero of="$RAW" bs=4096 count=$GUARD_PAGES oflag=direct status=none \
		seek=$(( $(ns_pages "$1") - GUARD_PAGES ))
}

# ---- Modules ----

# load_modules [PARAM=VALUE]...: size= goes to pmemswap, the rest to pmem_tier. Page-ins copy unless a
# test wants them to map: so it is known which of them a case is about. With TEST_COMPRESS=1, all is compressed
# as soon as it is out, which tests about data and processes must not notice.
load_modules()
{
	local p f core=() swap=()

	for p; do
		case $p in
		size=*)	swap+=("$p") ;;
		*)	core+=("$p") ;;
		esac
	done
	modprobe pmem_tier "${core[@]}"
	modprobe pmemswap "${swap[@]}"
	for f in /sys/block/pmemswap*/pmemswap/map_faults; do
		[[ -e $f ]] || continue
		_write "$f" off
		[[ -z ${TEST_COMPRESS:-} ]] || compress_at_once "${f%/*}"
	done
}

# compress_at_once DIRECTORY: of a device in sysfs, until that goes. The thread wakes up once a second, which is too
# late for much of what is out for a moment: so it isn't left to the thread.
compress_at_once()
{
	_write "$1/cold_age_ms" 0
	_write "$1/compress_cpu_percent" 100
	_write "$1/compress" always
	compress_on_and_on "$1" >/dev/null 2>&1 &
}

compress_on_and_on()
{
	trap - EXIT ERR
	while _write "$1/compress_now" 1; do
		sleep 0.02
	done
}

tier_stat() { cat "$TIER/$1/$2"; }
stat_of() { cat "/sys/block/$1/pmemswap/$2"; }

# Name of the swap device of namespace $1, or nothing
dev_of()
{
	local d

	for d in /sys/block/pmemswap*; do
		[[ $(cat "$d/pmemswap/namespace" 2>/dev/null) == "$1" ]] || continue
		echo "${d##*/}"
		return
	done
}

# empty DEVICE: discards all of it
empty() { blkdiscard -f "/dev/$1" 2>/dev/null || fail "blkdiscard $1"; }

# discard_blocks DEVICE FIRST COUNT [-z]
discard_blocks()
{
	blkdiscard -f -o $(( $2 * 4096 )) -l $(( $3 * 4096 )) "${@:4}" "/dev/$1" 2>/dev/null ||
		fail "blkdiscard of $3 blocks from $2"
}

# use NAMESPACE [PARAM=VALUE]...: loads both modules for it; sets DEV, the swap device's name
# shellcheck disable=SC2034 # for the tests
use()
{
	load_modules claim="$1" "${@:2}"
	is_held "$1"
	DEV=$(dev_of "$1")
}

# ---- The pool ----

# True when every page of the pool of namespace $1 is back
pool_idle()
{
	local d=$TIER/$1

	(( $(<"$d/free_pages") == $(<"$d/total_pages") - $(<"$d/bad_pages") &&
	   $(<"$d/swap_pages") == 0 && $(<"$d/cache_pages") == 0 && $(<"$d/lent_pages") == 0 ))
}

# The law of docs/ABI
balanced()
{
	local d=$TIER/$1

	same "$1: free + swap + cache + bad" \
		$(( $(<"$d/free_pages") + $(<"$d/swap_pages") + $(<"$d/cache_pages") +
		    $(<"$d/bad_pages") )) "$(<"$d/total_pages")"
}

# idle NAMESPACE [SECONDS]: every page comes back within a moment (5), and no slot is used
idle()
{
	local dev f

	loop_until "${2:-5}" pool_idle "$1" || {
		(cd "$TIER/$1" && grep -H . ./*_pages)
		fail "the pool of $1 is not idle"
	}
	balanced "$1"
	dev=$(dev_of "$1")
	if [[ -n $dev ]]; then
		for f in slots_used raw_slots same_filled_slots compressed_slots compressed_bytes packed_pages; do
			same "$f of $dev" "$(stat_of "$dev" $f)" 0
		done
	fi
}

# ---- Swap ----

# swap_on DEVICE [swapon option]...
swap_on()
{
	local dev=$1

	shift
	swapon "$@" "/dev/$dev"
}

swap_off() { swapoff "/dev/$1"; }
swap_active() { grep -q "^/dev/$1[[:space:]]" /proc/swaps; }
swap_kib() { awk -v d="/dev/$1" '$1 == d { print $3 }' /proc/swaps; }
swap_used_kib() { awk -v d="/dev/$1" '$1 == d { print $4 }' /proc/swaps; }

# The kernel keeps up to 64 freed slots on each CPU before it tells the device
slot_cache() { echo $(( 64 * $(nproc) )); }

meminfo() { awk -v k="$1:" '$1 == k { print $2 }' /proc/meminfo; }
vmstat_of() { awk -v k="$1" '$1 == k { print $2 }' /proc/vmstat; }

# limited NAME MEMORY_MAX [SWAP_MAX]: a cgroup; sets CG
limited()
{
	cg_new "$1"
	echo "$2" >"$CG/memory.max"
	echo "${3:-max}" >"$CG/memory.swap.max"
}

# squeezed NAME BYTES [SWAP_MAX]: a cgroup for several threads that are to make do with this; sets CG. Not
# memory.max: while one thread looks for what is old (MGLRU), and has no CPU, others find nothing to reclaim; after 16
# times that is out of memory, and they are killed. Beyond memory.high they wait.
squeezed()
{
	limited "$1" max "${3:-max}"
	echo "$2" >"$CG/memory.high"
}

# cg_exec DIRECTORY CMD [ARG...]: for the background ("&"): $! is then the program itself
cg_exec()
{
	echo "$BASHPID" >"$1/cgroup.procs"
	exec "${@:2}"
}

cg_event() { awk -v k="$2" '$1 == k { print $2 }' "$1/memory.events"; }

# ---- Puppets: processes whose memory we drive, see progs/puppet.c ----

declare -A _puppet_pid _puppet_in _puppet_out

puppet_pid() { echo "${_puppet_pid[$1]}"; }

# puppet NAME [CGROUP DIRECTORY]
puppet()
{
	local name=$1 dir fd_in fd_out

	dir=$(mktemp -d /tmp/puppet.XXXXXX)
	mkfifo "$dir/in" "$dir/out"
	if [[ -n ${2:-} ]]; then
		cg_exec "$2" "$PROGS/puppet" <"$dir/in" >"$dir/out" &
	else
		"$PROGS/puppet" <"$dir/in" >"$dir/out" &
	fi
	_puppet_pid[$name]=$!
	exec {fd_in}>"$dir/in" {fd_out}<"$dir/out"
	_puppet_in[$name]=$fd_in _puppet_out[$name]=$fd_out
	rm -r "$dir"
}

# tell NAME COMMAND...: any answer but "ok" fails the case. Sets REPLY to what follows the "ok".
tell()
{
	local name=$1 line

	shift
	echo "$*" >&"${_puppet_in[$name]}"
	read -r -t $(( 120 * ${KTAP_SLOW:-1} )) -u "${_puppet_out[$name]}" line || fail "puppet $name: no answer to '$*'"
	[[ $line == ok\ * ]] || fail "puppet $name: '$*': $line"
	REPLY=${line#ok }
}

# ask NAME COMMAND...: prints the answer
ask()
{
	tell "$@"
	echo "$REPLY"
}

# paged_out NAME REGION PAGES: MADV_PAGEOUT until that many are out, which may take some times:
# pages that wait on another CPU's list can't be taken at once
paged_out()
{
	local i

	for i in {1..10}; do
		tell "$1" pageout "$2"
		tell "$1" swapped "$2"
		(( REPLY < $3 )) || return 0
		echo "$REPLY of $3 pages are out after $i times"
		echo 1 >/proc/sys/vm/compact_memory
	done
	fail "only $REPLY of $3 pages are out"
}

# puppet_out NAME SIZE COUNT: a puppet that has filled region a; so many of its small pages are out
puppet_out()
{
	puppet "$1"
	tell "$1" map a "$2" nohuge
	tell "$1" fill a 1 random
	paged_out "$1" a "$3"
}

# puppet_end NAME: it must end well, too
puppet_end()
{
	local name=$1 fd

	tell "$name" quit
	fd=${_puppet_in[$name]}
	exec {fd}>&-
	fd=${_puppet_out[$name]}
	exec {fd}<&-
	wait "${_puppet_pid[$name]}" || fail "puppet $name ended with status $?"
	unset "_puppet_pid[$name]"
}

# leave KIB: of the memory that there is, for others than a puppet called balloon
leave()
{
	puppet balloon
	tell balloon map a "$(( ($(meminfo MemAvailable) - $1) / 1024 ))M"
	tell balloon lock a
}

puppets_end()
{
	local name

	for name in "${!_puppet_pid[@]}"; do
		puppet_end "$name"
	done
}

_puppets_kill()
{
	local name

	for name in "${!_puppet_pid[@]}"; do
		kill -9 "${_puppet_pid[$name]}" 2>/dev/null
		wait "${_puppet_pid[$name]}" 2>/dev/null
	done
}

# Hibernation, only as far as the freezer, and back at once
hibernate_trial()
{
	local test=/sys/power/pm_test delay=/sys/module/suspend/parameters/pm_test_delay

	grep -qw disk /sys/power/state || skip 'no hibernation in this kernel'
	[[ -w $test ]] || skip 'this kernel has no trial of hibernation'
	[[ ! -w $delay ]] || push $delay 0
	at_exit _write $test none
	_write $test freezer
}
