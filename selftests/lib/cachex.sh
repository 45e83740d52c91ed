#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# On top of pmemswap.sh: pmem_cachex, filesystems on disks, files whose pages are evicted to pmem.

# shellcheck source-path=SCRIPTDIR
. "$(dirname "${BASH_SOURCE[0]}")/pmemswap.sh"

CX=/sys/kernel/pmem_cachex

# cx NAME: a file of sysfs
cx() { cat "$CX/$1"; }

# majmin DEVICE
majmin() { printf '%d:%d\n' $(stat -c '0x%t 0x%T' "$1"); }

# cachex TARGETS [NAMESPACE...]: both modules, and what is to take part
cachex()
{
	local all

	all=$(IFS=,; echo "${*:2}")
	modprobe pmem_tier claim="${all:-$BIG}"
	modprobe pmem_cachex
	at_exit unload pmem_cachex
	grep -qx 'cachex: on' $TIER/features || skip "this kernel can't: $(<$TIER/features)"
	_write $CX/targets "$1"
}

# need_disk: sets DISK
need_disk()
{
	DISK=${PMEMSWAP_DISKS:-}
	DISK=${DISK%% *}
	[[ -b $DISK ]] || skip 'needs a disk'
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
	esac
	mkdir -p $MNT
	mount -t "$1" "$DISK" $MNT
	at_exit fs_off
}

fs_off() { ! mountpoint -q $MNT || umount $MNT; }

# fs_check: unmount, and have the filesystem's own tool look at it
fs_check()
{
	fs_off
	case $FS in
	ext4)	e2fsck -f -n "$DISK" ;;
	xfs)	xfs_repair -n "$DISK" ;;
	btrfs)	btrfs check --check-data-csum "$DISK" ;;
	esac >/tmp/fsck.log 2>&1 || { cat /tmp/fsck.log; fail "$FS is damaged"; }
}
