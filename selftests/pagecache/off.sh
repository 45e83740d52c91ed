#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# vm: --mem 768M --nvdimm 128M --disk 600M
# timeout: 1200
# Turned off, dropped and unloaded, again and again, while files are read, written and mapped: each time all
# pages are gone from pmem, and nothing is lost. The seed is printed; TORTURE_SEED=N repeats it.

# shellcheck source-path=SCRIPTDIR
# shellcheck disable=SC2317 # cases_done calls them
. "$(dirname "$0")/../lib/cachex.sh"

need_namespaces 1
need_disk

SEED=${TORTURE_SEED:-$RANDOM}
# Operations of each thread; btrfs takes its time over them
declare -A OPS=([ext4]=500 [xfs]=300 [btrfs]=200 [bdev]=500)
MODEL=/tmp/model
LOAD=(--threads 4 --mib 8)

running() { kill -0 "$PID" 2>/dev/null; }

# Enough to drop, or it is over
some_pages() { ! running || (( $(cx stored_pages) >= 250 )); }

# What is in use for a moment, in a pipe or by direct I/O, goes when we come again
all_gone() { [[ $(writing $CX/drop 1) == 0 ]] && (( $(cx stored_pages) == 0 )); }

turned_off()
{
	[[ $(writing $CX/enabled 0) == @(0|EBUSY) ]]
	loop_until 20 all_gone
	same "enabled" "$(cx enabled)" 0
	same "pages in pmem" "$(cx stored_pages)" 0
	_write $CX/enabled 1
}

# More may come at once
dropped()
{
	local before

	before=$(cx puts)
	[[ $(writing $CX/drop 1) == @(0|EBUSY) ]]
	num "pages that were there before" "$(cx stored_pages)" -le $(($(cx puts) - before + 16))
}

unloaded()
{
	rmmod pmem_cachex
	num "pages in pmem" "$(tier_stat "$BIG" cache_pages)" -le 16
	modprobe pmem_cachex "targets=$TARGET"
	_write $CX/admission all
}

# again FS CMD...: while there is a load
again()
{
	local rounds=0 where

	rm -rf $MODEL
	mkdir $MODEL
	at_exit rm -rf $MODEL
	if [[ $1 == bdev ]]; then
		FS=bdev
		TARGET=bdev:$(majmin "$DISK")
		where=(--bdev "$DISK")
		squeezed t 64M
	else
		fs_on "$1"
		TARGET=$(fs_number)
		where=(--dir "$MNT")
		squeezed t 16M
	fi
	cachex "$TARGET"
	cg_exec "$CG" "$PROGS/filetorture" "${where[@]}" "${LOAD[@]}" --save $MODEL \
		--seed "$SEED" --ops "${TORTURE_OPS:-$(fewer "${OPS[$FS]}" 100)}" &
	PID=$!
	while loop_until 60 some_pages; running; do
		"${@:2}"
		rounds=$((rounds + 1))
	done
	wait "$PID" || fail "filetorture: status $?"
	echo "$rounds rounds"
	num "rounds" $rounds -ge 1
	same "killed" "$(cg_event "$CG" oom_kill)" 0
	[[ $FS == bdev ]] || fs_off
	loop_until 5 all_gone
	cachex_off
	idle "$BIG"
	if [[ $FS != bdev ]]; then
		fs_check
		mount -t "$FS" "$DISK" "$MNT"
	fi
	"$PROGS/filetorture" "${where[@]}" "${LOAD[@]}" --check $MODEL
}

echo "# seed $SEED"
for fs in ext4 xfs btrfs bdev; do
	case_ "$fs, turned off under load" again $fs turned_off
	case_ "$fs, dropped under load" again $fs dropped
	case_ "$fs, unloaded under load" again $fs unloaded
done
cases_done
