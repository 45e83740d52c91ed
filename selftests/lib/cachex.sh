#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# On top of pmemswap.sh: pmem_cachex, filesystems on disks, files whose pages are evicted to pmem.

# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/pmemswap.sh"

CX=/sys/kernel/pmem_cachex

# cx NAME: a file of sysfs
cx() { cat "$CX/$1"; }

# majmin DEVICE
majmin() { echo $(($(stat -c '0x%t' "$1"))):$(($(stat -c '0x%T' "$1"))); }

# The number of the filesystem at MNT
fs_number() { findmnt -n -o MAJ:MIN "$MNT" | tr -d ' '; }

# cachex TARGETS [NAMESPACE...]: both modules, and what is to take part
cachex()
{
	local all

	all=$(IFS=,; echo "${*:2}")
	modprobe pmem_tier claim="${all:-$BIG}"
	modprobe pmem_cachex
	at_exit cachex_off
	grep -q '^cachex: on' $TIER/features || skip "this kernel can't: $(<$TIER/features)"
	_write $CX/targets "$1"
	_write $CX/admission all
	# what is in pmem stays there, for tests of anything else
	_write $CX/promote_pages_per_second 0
}

# Alone: pmem_tier, which modprobe -r would take along, may have to wait until we have unmounted
cachex_off() { ! loaded pmem_cachex || rmmod pmem_cachex; }

# need_disk: sets DISK
need_disk()
{
	DISK=${PMEMSWAP_DISKS:-}
	DISK=${DISK%% *}
	[[ -b $DISK ]] || skip 'needs a disk'
}

# dm_disk: DISK is behind the device mapper from now on, see dm_becomes
dm_disk()
{
	need dmsetup
	modprobe -a dm_mod dm_flakey
	BELOW=$DISK
	dmsetup create test --noudevsync --table "$(dm_table linear)"
	at_exit dmsetup remove --noudevsync test
	DISK=/dev/mapper/test
	[[ -b $DISK ]] || dmsetup mknodes test
}

dm_table() { echo "0 $(blockdev --getsz "$BELOW") $1 $BELOW 0${2:+ }${2:-}"; }

# dm_becomes TARGET [ARGS]: as in "dm_becomes flakey '0 1000 1 drop_writes'", which is down from second 0 to 1000
dm_becomes()
{
	dmsetup load test --table "$(dm_table "$@")"
	dmsetup suspend --nolockfs --noflush test
	dmsetup resume --noudevsync test
}

# fs_on TYPE [MKFS OPTION...]: a new filesystem on DISK at MNT, unmounted and checked in the end
fs_on()
{
	FS=$1
	need "mkfs.$1"
	case $1 in
	ext4)	mkfs.ext4 -q -F "${@:2}" "$DISK" ;;
	xfs)	mkfs.xfs -q -f "${@:2}" "$DISK" ;;
	btrfs)	mkfs.btrfs -q -f "${@:2}" "$DISK" >/dev/null ;;
	vfat)	mkfs.vfat "${@:2}" "$DISK" >/dev/null ;;
	esac
	mkdir -p "$MNT"
	mount -t "$1" "$DISK" "$MNT"
	at_exit fs_off
}

fs_off() { ! mounted_on "$MNT" || umount "$MNT"; }

# fs_check: unmount, and have the filesystem's own tool look at it
fs_check()
{
	fs_off
	case $FS in
	ext4)	e2fsck -f -n "$DISK" ;;
	xfs)	xfs_repair -n "$DISK" ;;
	btrfs)	btrfs check --check-data-csum "$DISK" ;;
	vfat)	fsck.vfat -n "$DISK" ;;
	esac >/tmp/fsck.log 2>&1 || { cat /tmp/fsck.log; fail "$FS is damaged"; }
}

# ---- A file in pmem ----

PAGES=1024		# of the file
REF=/tmp/ref		# what it must read as

# A new file, in pmem. Sets FILE.
file_in_pmem()
{
	limited f max
	FILE=$MNT/file
	head -c $((PAGES * 4096)) /dev/urandom >"$REF"
	at_exit rm -f "$REF"
	if [[ $FS == bdev ]]; then
		FILE=$DISK
		dd if="$REF" of="$DISK" bs=1M conv=notrunc status=none
	else
		cp "$REF" "$FILE"
	fi
	sync
	echo 3 >/proc/sys/vm/drop_caches
	evict
}

# Read the file, which it takes to be charged for it, and have it reclaimed
evict()
{
	cg_run "$CG" cat "$FILE" | head -c $((PAGES * 4096)) | cmp - "$REF" ||
		fail "what is read isn't what was written"
	reclaim
}

# All there is, as often as there is any left: it stops when it gets nowhere
reclaim()
{
	local i

	for i in 1 2 3; do
		echo 1G >"$CG/memory.reclaim" || :
	done
} 2>/dev/null

sectors_read() { awk '{ print $3 }' "/sys/block/${DISK##*/}/stat"; }

# hold KIND PAGE COUNT [dirty]: sets HOLD_PID, HELD (what it said)
hold()
{
	coproc HOLD { exec "$PROGS/filehold" "$1" "$FILE" "${@:2}"; }
	HOLD_IN=${HOLD[1]}
	# shellcheck disable=SC2034 # tests look at it
	read -r HELD <&"${HOLD[0]}"
}

let_go()
{
	# bash forgets it when it ends
	local pid=$HOLD_PID

	eval "exec $HOLD_IN>&-"
	wait "$pid"
}

# ---- Loads in the background ----

LOADS=()		# their pids

is_over() { ! kill -0 "$1" 2>/dev/null; }

still_right()
{
	local pid

	for pid in "${LOADS[@]}"; do
		is_over "$pid" || continue
		wait "$pid" || fail "a load ended with status $?"
		fail 'a load ended'
	done
}

# They end when they are asked to; all that they have found is right
loads_end()
{
	local pid

	kill -TERM "${LOADS[@]}"
	for pid in "${LOADS[@]}"; do
		wait "$pid" || fail "a load ended with status $?"
	done
}
