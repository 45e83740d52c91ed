#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# vm: --mem 1G --nvdimm 512M --nvdimm 256M
# timeout: 900
# tmpfs files larger than their cgroup may be in memory.

# shellcheck source-path=SCRIPTDIR
# shellcheck disable=SC2317 # cases_done calls them
. "$(dirname "$0")/../lib/pmemswap.sh"

need_namespaces 1

tmpfs()
{
	mkdir -p $MNT
	mount -t tmpfs -o size=400M tmpfs $MNT
}

mapped()
{
	use "$BIG"
	swap_on "$DEV"
	tmpfs
	squeezed t 32M
	cg_run "$CG" "$PROGS/hog" --file $MNT/file --size 80M --threads 2 --random --fork 1 --write 0
	cg_run "$CG" "$PROGS/hog" --file $MNT/file --size 80M --threads 2 --random
	num "pages written" "$(stat_of "$DEV" written_pages)" -gt 10000
	rm $MNT/file
	num "slots in use" "$(stat_of "$DEV" slots_used)" -le "$(slot_cache)"
	umount $MNT
}

# read(2) and write(2); swapoff with most of it out; a copy that is compared
by_read_and_write()
{
	use "$BIG"
	swap_on "$DEV"
	tmpfs
	limited t 32M
	truncate -s 96M $MNT/file
	cg_run "$CG" "$PROGS/blkdata" -c write $MNT/file 0 24576 6 mixed
	num "KiB in swap" "$(swap_used_kib "$DEV")" -gt 40000
	cg_run "$CG" "$PROGS/blkdata" -c verify $MNT/file 0 24576 6 mixed
	cg_run "$CG" cp $MNT/file $MNT/copy
	cmp $MNT/file $MNT/copy
	echo max >"$CG/memory.max"
	swap_off "$DEV"
	idle "$BIG"
	"$PROGS/blkdata" -c verify $MNT/copy 0 24576 6 mixed
	cmp $MNT/file $MNT/copy
	umount $MNT
}

pageout()
{
	use "$BIG"
	swap_on "$DEV"
	tmpfs
	puppet p
	tell p mapfile a 16M $MNT/file
	tell p fill a 1 mixed
	tell p pageout a
	num "KiB in swap" "$(swap_used_kib "$DEV")" -gt 15000
	tell p verify a
	tell p pageout a
	tell p zap a 100 1000
	tell p verify a
	tell p pageout a
	tell p forkhold a
	tell p verify a
	tell p forkend a
	truncate -s 4M $MNT/file
	tell p unmap a 1024 3072
	tell p verify a
	rm $MNT/file
	puppet_end p
	umount $MNT
}

case_ "mapped, under a cgroup's limit" mapped
case_ "read and written, under a cgroup's limit, with swapoff" by_read_and_write
case_ "MADV_PAGEOUT, MADV_REMOVE, truncate, unlink" pageout
cases_done
