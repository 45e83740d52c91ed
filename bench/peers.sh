#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# In the guest: the swap devices that are compared, and how each is set up. A new peer is a line
# in PEERS and, if none of the functions fits, a function that sets DEV and makes it ready for swapon.

# name|title|set-up function and its arguments. The first one is what the others are compared with.
# shellcheck disable=SC2034 # for who sources it
PEERS=(
	'nd_pmem|/dev/pmem0 (nd_pmem)|peer_nd_pmem namespace0.0'
	'pmemswap|/dev/pmemswap0 (this project)|peer_pmemswap namespace1.0'
	'brd|brd (RAM disk)|peer_brd'
	'zram-lz4|zram, lz4|peer_zram lz4'
	'zram-zstd|zram, zstd|peer_zram zstd'
)
PEER_SIZE=${PEER_SIZE:-128M}	# of the devices made of RAM

make_swap() { mkswap "$DEV" >/dev/null; }

# A namespace by name, bound by hand: the drivers would take all there are
peer_nd_pmem()
{
	echo 0 >/sys/bus/nd/drivers_autoprobe
	modprobe nd_pmem
	echo 1 >/sys/bus/nd/drivers_autoprobe
	[[ -e /sys/bus/nd/devices/$1/driver ]] || echo "$1" >/sys/bus/nd/drivers/nd_pmem/bind
	set -- /sys/bus/nd/devices/"$1"/block/*
	DEV=/dev/${1##*/}
	make_swap
}

peer_pmemswap()
{
	modprobe pmem_tier claim="$1"
	modprobe pmemswap
	DEV=/dev/pmemswap0	# no mkswap
}

peer_brd()
{
	modprobe brd rd_nr=1 rd_size=$(( $(numfmt --from=iec "$PEER_SIZE") / 1024 ))
	DEV=/dev/ram0
	make_swap
}

peer_zram()
{
	local nr=0

	if [[ -e /sys/class/zram-control ]]; then
		nr=$(</sys/class/zram-control/hot_add)
	else
		modprobe zram num_devices=1
	fi
	echo "$1" >"/sys/block/zram$nr/comp_algorithm"
	echo "$PEER_SIZE" >"/sys/block/zram$nr/disksize"
	DEV=/dev/zram$nr
	make_swap
}
