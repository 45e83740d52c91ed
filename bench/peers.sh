#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# In the guest: the swap devices that are compared, and how each is set up. A new peer is a line in PEERS
# and, if none of the functions fits, a function that sets DEV and makes it ready for swapon. It may set more:
#	TUNE	a command before each use
#	SETTLED	a file that reads 0 when freed pages are put away
#	DRAIN	a file that takes a 1 to move to DRAM what was paged in without taking DRAM
#	STORE	a command that tells how many MiB of DRAM the device took; gets as its last argument how many
#		it held at most
#	UNLEND	a file that takes a 1 to swap out in place what was paged in
#	SQUEEZE	a file that takes a 1 to compress what was paged out
# A fourth field says "late": it is set up after all others have been measured, as far as that matters.

# name|title|set-up function and its arguments. The first one is what the others are compared with.
# shellcheck disable=SC2034 # for who sources it
PEERS=(
	'nd_pmem|/dev/pmem0 (nd_pmem)|peer_nd_pmem namespace0.0'
	'pmemswap|pmemswap, copying|peer_pmemswap namespace1.0|late'
	'pmemswap-map1|pmemswap, mapping, 1 a fault|peer_pmemswap_map 1|late'
	'pmemswap-map16|pmemswap, mapping, 16 a fault|peer_pmemswap_map 16|late'
	'pmemswap-map64|pmemswap, mapping, 64 a fault|peer_pmemswap_map 64|late'
	'pmemswap-zstd|pmemswap, copying, compressed|peer_pmemswap_zstd|late'
	'brd|brd (RAM disk)|peer_brd'
	'zram-lz4|zram, lz4|peer_zram lz4'
	'zram-zstd|zram, zstd|peer_zram zstd'
)
PEER_SIZE=${PEER_SIZE:-128M}	# of the devices made of RAM

# peers_choose NAMES RAW: those in NAMES (all if empty); adds a line for each to RAW, and fills names, titles,
# ups and late, one element a peer.
peers_choose()
{
	local wanted=" $1 " raw=$2 p name title up late_one

	names=() ups=() late=()
	devices=() tunes=() settled=() drains=() unlends=() squeezes=() stores=()
	for p in "${PEERS[@]}"; do
		IFS='|' read -r name title up late_one <<<"$p"
		[[ $wanted == '  ' || $wanted == *" $name "* ]] || continue
		names+=("$name") ups+=("$up") late+=("$late_one")
		echo "peer $name|$title" >>"$raw"
	done
	[[ -z $1 ]] || (( ${#names[@]} == $(wc -w <<<"$1") )) ||
		{ echo "not all of these are peers: $1" >&2; return 1; }
}

# peers_up [LATE]: sets up those that are so, and fills the other arrays
# shellcheck disable=SC2034 # for who sources it
peers_up()
{
	local i

	for i in "${!names[@]}"; do
		[[ ${late[i]} == "${1:-}" ]] || continue
		echo "setting up ${names[i]}"
		DEV='' TUNE='' SETTLED='' DRAIN='' UNLEND='' SQUEEZE='' STORE=no_store
		if ! eval "${ups[i]}" || [[ ! -b $DEV ]]; then
			echo "${names[i]} could not be set up" >&2
			return 1
		fi
		devices[i]=$DEV tunes[i]=$TUNE settled[i]=$SETTLED drains[i]=$DRAIN unlends[i]=$UNLEND
		squeezes[i]=$SQUEEZE
		stores[i]=$STORE
	done
}

# Modules that count as left behind
peers_down()
{
	[[ -e /sys/module/pmemswap ]] || return 0
	echo 1 >/sys/block/pmemswap0/pmemswap/drain && modprobe -r pmemswap pmem_tier
}

make_swap() { mkswap "$DEV" >/dev/null; }

# A namespace by name as a block device: sets DEV. By hand: the driver would take all there are.
pmem_disk()
{
	echo 0 >/sys/bus/nd/drivers_autoprobe
	modprobe nd_pmem
	echo 1 >/sys/bus/nd/drivers_autoprobe
	[[ -e /sys/bus/nd/devices/$1/driver ]] || echo "$1" >/sys/bus/nd/drivers/nd_pmem/bind
	set -- /sys/bus/nd/devices/"$1"/block/*
	DEV=/dev/${1##*/}
}

peer_nd_pmem()
{
	pmem_disk "$1"
	make_swap
}

# The hooks that mapping takes are there from now on, and cost everybody's swap faults a little: hence late
peer_pmemswap()
{
	modprobe pmem_tier claim="$1"
	modprobe pmemswap
	DEV=/dev/pmemswap0	# no mkswap
	TUNE='echo off >/sys/block/pmemswap0/pmemswap/map_faults'
}

# Page-in by mapping, N pages a fault, on the same device. What is mapped stays where it is.
peer_pmemswap_map()
{
	local dir=/sys/block/pmemswap0/pmemswap

	peer_pmemswap namespace1.0
	TUNE="echo all >$dir/map_faults && echo $1 >$dir/fault_around_pages && echo 0 >$dir/promote_pages_per_second"
	SETTLED=$dir/lent_pages
	DRAIN=$dir/drain
	UNLEND=$dir/unlend
}

# All that was paged out is compressed before it comes in, as zram would have done at once
peer_pmemswap_zstd()
{
	peer_pmemswap namespace1.0
	SQUEEZE=/sys/block/pmemswap0/pmemswap/compress_now
}

peer_brd()
{
	modprobe brd rd_nr=1 rd_size=$(( $(numfmt --from=iec "$PEER_SIZE") / 1024 ))
	DEV=/dev/ram0
	STORE=brd_store
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
	STORE="zram_store zram$nr"
	make_swap
}

no_store() { echo 0; }

# It never gives back a page that was written to
brd_store() { echo "$1"; }

# The most it has had since it was asked last
zram_store()
{
	awk '{ print int($5 / 1048576) }' "/sys/block/$1/mm_stat"
	echo 0 >"/sys/block/$1/mem_used_max"
}
