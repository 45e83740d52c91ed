#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# vm: --mem 768M --nvdimm 128M --disk 600M
# timeout: 900
# A filesystem that crashes while pages of its files are in pmem, many of them dirty, is intact afterwards,
# and what had been synced is there. The seed is printed; CRASH_SEED=N repeats the choices.

# shellcheck source-path=SCRIPTDIR
# shellcheck disable=SC2317 # cases_done calls them
. "$(dirname "$0")/../lib/cachex.sh"

need_namespaces 1
need_disk

SEED=${CRASH_SEED:-$RANDOM}
LEDGER=/tmp/ledger

# pick N: a number below it, that follows from the seed
pick()
{
	SEED=$(((SEED * 1103515245 + 12345) & 0x7fffffff))
	PICKED=$(((SEED >> 8) % $1))
}

# start WHAT: a load on MNT that is evicted all the time, and perhaps promoted; it is up and running on
# return. WHAT happens after a number of operations that the seed says, once arm is called.
start()
{
	pick 2
	_write $CX/promote_pages_per_second $((PICKED * 1000000))
	pick 3000
	coproc LOAD { cg_exec "$CG" "$PROGS/filecrash" --dir "$MNT" --ledger $LEDGER \
		--seed $SEED --at "$PICKED" "$1"; }
	LOAD_OUT=${LOAD[0]}
	PID=$LOAD_PID
	loop_until 60 busy
}

# Its files are larger than its cgroup's memory
busy()
{
	kill -0 "$PID" && (( $(cx stored_pages) >= 1000 ))
}

arm() { kill -USR1 "$PID"; }

# The load ends by itself, and well
load_ends() { wait "$PID" || fail "filecrash: status $?"; }

load_is_killed()
{
	kill -9 "$PID" || :
	wait "$PID" || :
} 2>/dev/null

# What the load said last
said() { read -r -t $((60 * ${KTAP_SLOW:-1})) -u "$LOAD_OUT" line && same "filecrash" "$line" now; }

# Unmounted, with nothing left in pmem
gone()
{
	fs_off
	loop_until 5 is 0 cx stored_pages
}

mounted() { mount -t "$FS" -o "$OPTIONS" "$DISK" "$MNT"; }

# recovers [loaded]: the filesystem replays its log; with our modules, if "loaded"
recovers()
{
	[[ -n ${1:-} ]] || cachex_off
	mounted
	"$PROGS/filecrash" --dir "$MNT" --ledger $LEDGER --check
	fs_check
	mounted
	"$PROGS/filecrash" --dir "$MNT" --ledger $LEDGER --check
}

# on FS FUNCTION [ARG...]; FS may have mount options behind a comma (data=journal isn't taken, see refuse.sh)
on()
{
	at_exit rm -f $LEDGER
	fs_on "${1%%,*}"
	OPTIONS=rw${1#"$FS"}
	fs_off
	mounted
	cachex "$(fs_number)"
	squeezed c 12M
	"${@:2}"
	gone
}

# ---- The filesystem is shut down ----

# shutdown FLAGS: 0 writes all, 1 the log, 2 nothing
shut_down()
{
	start "shutdown$1"
	arm
	load_ends
	gone
	recovers loaded
}

# ---- The module goes while there is a load, and then the filesystem crashes ----

module_goes()
{
	start say
	for _ in 1 2; do
		rmmod pmem_cachex
		modprobe pmem_cachex targets="$(fs_number)"
		_write $CX/admission all
		loop_until 60 busy
	done
	arm
	said
	rmmod pmem_cachex &
	"$PROGS/filecrash" --dir "$MNT" --shutdown 2
	wait $!
	load_is_killed
	fs_off
	idle "$BIG"
	recovers
	modprobe pmem_cachex
}

# ---- The disk loses whatever is written from some moment on ----

# on_dm FS FUNCTION
on_dm()
{
	dm_disk
	on "$@"
}

power_cut()
{
	for _ in 1 2 3; do
		start say
		arm
		said
		# down from second 0 to 1000: it reads, but writes nothing
		dm_becomes flakey '0 1000 1 drop_writes'
		load_is_killed
		gone
		dm_becomes linear
		blockdev --flushbufs "$DISK"
		recovers loaded
	done
}

echo "# seed $SEED"
for f in 0 1 2; do
	case_ "ext4: shutdown, $f" on ext4 shut_down $f
	case_ "xfs: shutdown, $f" on xfs shut_down $f
done
case_ 'ext4: the module goes, shutdown' on ext4 module_goes
case_ 'xfs: the module goes, shutdown' on xfs module_goes
case_ 'ext4: power cut' on_dm ext4 power_cut
case_ 'xfs: power cut' on_dm xfs power_cut
case_ 'btrfs: power cut' on_dm btrfs power_cut
cases_done
