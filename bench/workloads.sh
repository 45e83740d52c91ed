#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# In the guest: programs bigger than their memory. A new one is a line in WORKLOADS and a function that runs it
# with "timed", on $data_mib MiB, and fails unless the program found all of its data right.
# shellcheck disable=SC2154,SC2004 # variables of overcommit-guest; "figure" is an associative array there

# name|title|function and its arguments|parts: key:title, for figures that it adds to the array "figure"
# shellcheck disable=SC2034 # for who sources it
WORKLOADS=(
	'demo|program of make demo|work_demo|fill_seconds:fill|seq_seconds:check in order, rewrite 1/4|rand_seconds:check at random'
	'stress-ng|stress-ng --vm --verify|work_stress_ng move-inv'
	'fio|fio, mmap, random, anonymous memory|work_fio anonymous'
	'fio-tmpfs|fio, mmap, random, file on tmpfs|work_fio tmpfs'
)

# Can't be compressed, and is checked three times
work_demo()
{
	local key value

	timed progs/overcommit --size "${data_mib}M" --seed "$round" --out /tmp/figures || return
	while IFS='=' read -r key value; do
		figure[$key]=$value
	done </tmp/figures
}

# Written, then checked and inverted: the first half of moving inversions, of random words, which can't be
# compressed. (What comes after it would forget the errors that were found.) An operation is 4096 words of 8 bytes.
work_stress_ng()
{
	timed stress-ng --vm 1 --vm-bytes "${data_mib}M" --vm-method "$1" --vm-keep --verify \
		--vm-ops $(( data_mib * 32 )) --timeout 0 --oomable --temp-path /tmp
}

# Written once in random order, then read back in that order and checked; half of each block can be compressed.
# fio's mmap engine maps files, and shared. So /dev/zero, and a small library makes it private: anonymous
# memory. Checking has to come before fio unmaps it, as the "backlog" of all blocks. The odd size
# is because fio maps anew for a block that ends where the mapping ends.
work_fio()
{
	local size=$(( data_mib << 20 )) rc
	local job=(fio --name=job --ioengine=mmap --rw=randwrite --bs=4k --thread --randseed="$round"
		--buffer_compress_percentage=50 --verify=crc32c --verify_fatal=1 --verify_state_save=0
		--verify_backlog=$(( data_mib * 256 )) --minimal)

	case $1 in
	anonymous)
		timed env LD_PRELOAD="$PWD/preload/anonymous.so" \
			"${job[@]}" --filename=/dev/zero --size=$(( size + 2048 ))
		;;
	tmpfs)
		mount -t tmpfs -o X-mount.mkdir,size=100% bench /tmp/bench || return
		# Else fio would allocate all of it beforehand
		truncate -s $size /tmp/bench/file
		timed "${job[@]}" --filename=/tmp/bench/file --size=$size
		rc=$?
		umount /tmp/bench && return $rc
		;;
	esac
}
