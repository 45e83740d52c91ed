#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# vm: --mem 768M --nvdimm 128M --disk 600M
# timeout: 1800
# fio's own verification (crc32c): files larger than memory, written and read buffered, mapped and
# directly, by several threads at the same time. The seed is printed; FIO_SEED=N repeats it.

# shellcheck source-path=SCRIPTDIR
# shellcheck disable=SC2317 # cases_done calls them
. "$(dirname "$0")/../lib/cachex.sh"

need_namespaces 1
need_disk
need fio

SEED=${FIO_SEED:-$RANDOM}
MIB=8			# of a file; there are six, and the cgroup has 28 MiB
KINDS=(buffered mapped direct)

# Options of fio for a way of doing I/O
way()
{
	case $1 in
	buffered) echo ioengine=psync ;;
	mapped)	echo ioengine=mmap ;;
	direct)	printf '%s\n' ioengine=libaio direct=1 iodepth=8 ;;
	esac
}

header()
{
	cat <<-END
	[global]
	directory=$MNT
	thread
	size=${MIB}M
	randseed=$SEED
	verify=crc32c
	verify_fatal=1
	verify_state_save=0
	verify_interval=4k
	END
}

# write_job ROUND: two threads a way, each with a file of its own, which the next round writes in
# another way. Each thread reads what it wrote, in between and afterwards.
write_job()
{
	local i sizes=(4k 64k 16k)

	header
	for i in 0 1 2; do
		echo "[file$i]"
		way "${KINDS[(i + $1) % 3]}"
		printf '%s\n' rw=randwrite "bs=${sizes[i]}" numjobs=2 \
			verify_backlog=512 do_verify=1 fsync=256 fallocate=none
	done
}

files() { (cd "$MNT" && printf '%s\n' file* | paste -sd :); }

# All files, in every way at the same time; each thread a third of it all
read_job()
{
	local k

	header
	for k in "${KINDS[@]}"; do
		echo "[$k]"
		way "$k"
		printf '%s\n' "filename=$(files)" "size=$((6 * MIB))M" "io_size=$((2 * MIB))M" \
			rw=randread bs=4k
	done
}

# All files, once
read_all_job()
{
	header
	printf '%s\n' '[all]' "filename=$(files)" \
		"size=$((6 * MIB))M" rw=read bs=64k ioengine=psync
}

# fio_runs GENERATOR [ARG...]
fio_runs()
{
	"$@" >/tmp/fio.job
	if ! cg_run "$CG" fio --output=/tmp/fio.out /tmp/fio.job; then
		tail -n 30 /tmp/fio.out
		fail "fio found wrong data, or failed"
	fi
}

on()
{
	local round

	fs_on "$1"
	cachex "$(fs_number)"
	[[ -z ${2:-} ]] || "${@:2}"
	squeezed fio 28M
	at_exit rm -f /tmp/fio.job /tmp/fio.out
	for round in 0 1; do
		fio_runs write_job $round
		fio_runs read_job
	done
	num "puts" "$(cx puts)" -gt $((6 * MIB * 256 / 2))
	num "pages in pmem" "$(cx stored_pages)" -gt 0
	fs_off
	loop_until 5 is 0 cx stored_pages
	num "hits" "$(cx hits)" -ge 20
	rmmod pmem_cachex
	fs_check
	mount -t "$FS" "$DISK" "$MNT"
	fio_runs read_all_job
	fs_off
}

# A quarter of what there is to store
small_pool()
{
	_write "$TIER/$BIG/reserve_pages" \
		$(($(tier_stat "$BIG" total_pages) - 6 * MIB * 256 / 4))
}

echo "# seed $SEED"
for fs in ext4 xfs btrfs; do
	case_ "$fs" on $fs
done
case_ 'ext4, with a small pool' on ext4 small_pool
cases_done
