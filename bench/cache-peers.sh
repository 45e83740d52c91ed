#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# In the guest: what keeps file data on persistent memory, and how it is set up and taken down. A new peer is a
# line in PEERS of cache-files-guest and, if none of the functions fits, two functions. The first one
# sets DEV, the block device for the filesystem on $disk, and may set more:
#	WITH	a command that begins that which loads files
#	HITS	the dm-cache that counts how many reads it has served
# The second one undoes it, when the filesystem is unmounted.
# shellcheck disable=SC2034,SC2154 # variables for and of who sources it

# shellcheck source-path=SCRIPTDIR
. ./peers.sh

PMEM=namespace0.0	# of all peers but the far node, which can't be undone
FAR=namespace1.0
cx=/sys/kernel/pmem_cachex
export DM_DISABLE_UDEV=1	# there is none

# wait_for COMMAND...: until it succeeds; too long is a minute
wait_for()
{
	local i

	for (( i = 0; i < 600; i++ )); do
		"$@" 2>/dev/null && return
		sleep 0.1
	done
	echo "waited in vain for: $*" >&2
	return 1
}

sectors_read() { awk '{ print $3 }' "/sys/block/${disk##*/}/stat"; }

# MiB of page cache in the memory of a node
cached_mib() { awk '$3 == "FilePages:" { print int($4 / 1024) }' "/sys/devices/system/node/node$1/meminfo"; }

cache_none() { DEV=$disk; }

cache_cachex()
{
	modprobe pmem_tier claim=$PMEM && modprobe pmem_cachex || return
	if ! grep -q '^cachex: on' /sys/kernel/pmem_tier/features; then
		cat /sys/kernel/pmem_tier/features
		return 1
	fi
	echo "$1" >$cx/admission
	echo ext4 xfs >$cx/targets
	DEV=$disk
}

cachex_down() { modprobe -r pmem_cachex && modprobe -r pmem_tier; }

# Nobody is to find there what another one has left
pmem_disk_down()
{
	local dev

	dev=$(echo /sys/bus/nd/devices/$PMEM/block/*)
	dd if=/dev/zero of="/dev/${dev##*/}" bs=1M count=8 conv=nocreat,fsync status=none &&
		echo $PMEM >/sys/bus/nd/drivers/nd_pmem/unbind && modprobe -r nd_pmem
}

# cache_bcache CUTOFF: sequential reads longer than that (0: none) go past the cache
cache_bcache()
{
	pmem_disk $PMEM && modprobe bcache && wipefs -qa "$disk" "$DEV" || return
	make-bcache --block 4k --bucket 64k -C "$DEV" -B "$disk" >/dev/null || return
	echo "$DEV" >/sys/fs/bcache/register
	echo "$disk" >/sys/fs/bcache/register
	DEV=/dev/bcache0
	wait_for test -b $DEV && wait_for test -e /sys/block/bcache0/bcache/cache || return
	echo "$1" >/sys/block/bcache0/bcache/sequential_cutoff
	# Emulated, the cache may look slow
	echo 0 >/sys/block/bcache0/bcache/cache/congested_read_threshold_us
}

bcache_down()
{
	local set

	set=$(echo /sys/fs/bcache/*-*-*)
	echo 1 >/sys/block/bcache0/bcache/stop && echo 1 >"$set/stop" &&
		wait_for test ! -e /sys/block/bcache0 && wait_for test ! -e "$set" &&
		wait_for modprobe -qr bcache && wipefs -qa "$disk" && pmem_disk_down
}

# Blocks of 32 KiB, the smallest there are
cache_dm()
{
	local size

	pmem_disk $PMEM && modprobe -a dm_cache dm_cache_smq && size=$(blockdev --getsz "$DEV") || return
	dd if=/dev/zero of="$DEV" bs=1M count=8 conv=nocreat,fsync status=none
	dmsetup create bench-meta --table "0 8192 linear $DEV 0" &&
		dmsetup create bench-data --table "0 $(( size - 8192 )) linear $DEV 8192" &&
		dmsetup create bench --table "0 $(blockdev --getsz "$disk") cache /dev/mapper/bench-meta \
			/dev/mapper/bench-data $disk 64 1 writethrough smq 0" || return
	DEV=/dev/mapper/bench
	HITS=bench
}

dm_down()
{
	dmsetup remove --retry bench && dmsetup remove bench-data && dmsetup remove bench-meta &&
		pmem_disk_down
}

far_node() { cat /sys/bus/dax/devices/dax1.0/target_node; }

# cache_far DEMOTION: a NUMA node without CPUs, from now on
cache_far()
{
	DEV=$disk
	if [[ ! -e /sys/bus/dax/devices/dax1.0 ]]; then
		modprobe -a dax_pmem device_dax kmem
		ndctl create-namespace -f -e $FAR -m devdax -M mem >/dev/null || return
		echo offline >/sys/devices/system/memory/auto_online_blocks
		daxctl reconfigure-device -m system-ram dax1.0 >/dev/null || return
	fi
	echo "$1" >/sys/kernel/mm/numa/demotion_enabled
	WITH="numactl --membind=$(far_node)"
}
