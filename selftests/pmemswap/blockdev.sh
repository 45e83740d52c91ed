#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# vm: --mem 1G --nvdimm 512M --nvdimm 256M
# timeout: 900
# As a plain block device: fio, filesystems, discard, zeroing, direct I/O from odd buffers.

# shellcheck source-path=SCRIPTDIR
# shellcheck disable=SC2317 # cases_done calls them
. "$(dirname "$0")/../lib/pmemswap.sh"

need_namespaces 1

write() { "$PROGS/blkdata" write "/dev/$DEV" "$@"; }
verify() { "$PROGS/blkdata" verify "/dev/$DEV" "$@"; }
zeros() { "$PROGS/blkdata" zeros "/dev/$DEV" "$@"; }
label() { blkid -p -o value -s LABEL "/dev/$DEV" || :; }

# discard, or zero out with -z, COUNT blocks from FIRST
discard() { discard_blocks "$DEV" "$@"; }

limits()
{
	local q

	use "$BIG"
	q=/sys/block/$DEV/queue
	same "logical_block_size" "$(<"$q/logical_block_size")" 4096
	same "physical_block_size" "$(<"$q/physical_block_size")" 4096
	same "rotational" "$(<"$q/rotational")" 0
	same "discard_granularity" "$(<"$q/discard_granularity")" 4096
	num "discard_max_bytes" "$(<"$q/discard_max_bytes")" -ge 4096
	num "write_zeroes_max_bytes" "$(<"$q/write_zeroes_max_bytes")" -ge 4096
	same "removable" "$(<"/sys/block/$DEV/removable")" 0
	same "read-only" "$(<"/sys/block/$DEV/ro")" 0
	same "bytes" "$(blockdev --getsize64 "/dev/$DEV")" $(( $(stat_of "$DEV" slots_total) * 4096 ))
	fails . blockdev --rereadpt "/dev/$DEV"
	same "partitions" "$(find "/sys/block/$DEV/" -name partition)" ''
}

# Every block of a fresh device reads as zeros, but for block 0
fresh()
{
	use "$BIG"
	zeros 1 $(( $(stat_of "$DEV" slots_total) - 1 ))
	same "label" "$(label)" "$DEV"
	# and after the pool was full of data
	write 1 $(( $(stat_of "$DEV" slots_total) - 1 )) 1
	same "unbind" "$(tier_unbind "$BIG")" 0
	same "bind" "$(tier_bind "$BIG")" 0
	zeros 1 $(( $(stat_of "$DEV" slots_total) - 1 ))
}

run_fio()
{
	fio --output-format=terse --filename="/dev/$DEV" --randrepeat=1 --verify_fatal=1 \
		--group_reporting "$@" >/tmp/fio.log 2>&1 || {
		tail -n 20 /tmp/fio.log
		fail "fio $*: status $?"
	}
}

# Four jobs, each with a part of the device
fio_verify()
{
	need fio
	use "$BIG"
	run_fio --name=v --direct=1 --ioengine=libaio --iodepth=8 --rw=randwrite --size=48M \
		--offset=4M --offset_increment=60M --numjobs=4 --bsrange=4k-128k \
		--verify=crc32c --do_verify=1
	run_fio --name=v --direct=1 --ioengine=psync --rw=randrw --size=32M \
		--offset=4M --offset_increment=60M --numjobs=4 --bs=4k \
		--verify=md5 --verify_backlog=512
	run_fio --name=v --ioengine=psync --rw=randrw --size=32M --fsync=64 \
		--offset=4M --offset_increment=60M --numjobs=2 --bsrange=4k-64k \
		--verify=crc32c --verify_backlog=256
	empty "$DEV"
}

# The same few blocks written, zeroed and discarded by all at once: no page is lost
fio_same_blocks()
{
	need fio
	use "$BIG"
	run_fio --direct=1 --ioengine=psync --size=256k --norandommap --loops=40 \
		--name=w --rw=randwrite --bsrange=4k-32k --numjobs=2 \
		--name=w2 --rw=randwrite --bs=4k --zero_buffers --numjobs=1 \
		--name=t --rw=randtrim --bsrange=4k-64k --numjobs=2 \
		--name=r --rw=randread --bsrange=4k-64k --numjobs=2
	balanced "$BIG"
	same "pages in use" "$(tier_stat "$BIG" swap_pages)" "$(stat_of "$DEV" raw_slots)"
	num "slots in use" "$(stat_of "$DEV" slots_used)" -le 64
	empty "$DEV"
}

# filesystem TYPE MKFS... -- FSCK...
filesystem()
{
	local type=$1 mkfs=()

	shift
	while [[ $1 != -- ]]; do
		mkfs+=("$1")
		shift
	done
	shift
	need "${mkfs[0]}" "$1"
	use "$BIG"
	"${mkfs[@]}" "/dev/$DEV"
	mkdir -p $MNT
	mount -t "$type" "/dev/$DEV" $MNT
	cp -r /usr/bin $MNT/a
	cp -r $MNT/a $MNT/b
	rm -r $MNT/a
	fstrim $MNT
	cp -r $MNT/b $MNT/a
	umount $MNT
	echo 3 >/proc/sys/vm/drop_caches
	"$@" "/dev/$DEV"
	mount -t "$type" "/dev/$DEV" $MNT
	diff -r --no-dereference /usr/bin $MNT/a
	diff -r --no-dereference /usr/bin $MNT/b
	umount $MNT
	empty "$DEV"
}

discards()
{
	local before

	use "$BIG"
	write 0 3000 1 mixed
	before=$(stat_of "$DEV" discarded_pages)
	discard 1000 500
	same "discarded_pages" $(( $(stat_of "$DEV" discarded_pages) - before )) 500
	zeros 1000 500
	verify 0 1000 1 mixed
	verify 1500 1500 1 mixed
	# Again: nothing is there any more
	discard 1000 500
	same "discarded_pages" $(( $(stat_of "$DEV" discarded_pages) - before )) 500

	discard 2000 500 -z
	zeros 2000 500
	verify 1500 500 1 mixed
	verify 2500 500 1 mixed
	same "discarded_pages" $(( $(stat_of "$DEV" discarded_pages) - before )) 1000
	discard 2100 1
	discard 2999 1
	zeros 2999 1
	verify 2500 499 1 mixed

	# Through fallocate(2), as others do it
	fallocate -p -o $((10 * 4096)) -l $((10 * 4096)) "/dev/$DEV"
	zeros 10 10
	verify 0 10 1 mixed
	verify 20 980 1 mixed

	# Not a whole number of blocks
	fails . blkdiscard -f -o 512 -l 4096 "/dev/$DEV"
	fails . blkdiscard -f -o 0 -l 512 "/dev/$DEV"
	verify 0 10 1 mixed
	empty "$DEV"
	idle "$BIG"
	zeros 1 3000
}

# Written again, other pages than before may be used: no block ever shows another one's data
rewritten()
{
	local i first

	use "$BIG"
	write 1 20000 1
	for i in 2 3 4; do
		first=$((i * 1111))
		discard $first 3000
		zeros $first 3000
		write $((first + 1000)) 1000 $i
		zeros $first 1000
		verify $((first + 1000)) 1000 $i
		zeros $((first + 2000)) 1000
		verify $((first + 3000)) $((20001 - first - 3000)) 1
		write $first 3000 1
	done
	verify 1 20000 1
	empty "$DEV"
}

block_0()
{
	use "$BIG"
	same "label" "$(label)" "$DEV"
	write 0 1 5
	verify 0 1 5
	same "label" "$(label)" ''
	discard 0 1
	same "label after discard" "$(label)" "$DEV"
	idle "$BIG"
	# To zero is to write
	discard 0 1 -z
	zeros 0 1
	same "label after zeroing" "$(label)" ''
	write 0 1 5 zero
	zeros 0 1
	discard 0 1
	same "label after discard" "$(label)" "$DEV"
	wipefs -qa "/dev/$DEV"
	same "label after wipefs" "$(label)" ''
	empty "$DEV"
	same "label after discard" "$(label)" "$DEV"
}

odd_buffers()
{
	use "$BIG"
	"$PROGS/dioalign" "/dev/$DEV" 0
	"$PROGS/dioalign" "/dev/$DEV" 777
	"$PROGS/dioalign" "/dev/$DEV" $(( $(stat_of "$DEV" slots_total) - 300 ))
	empty "$DEV"
}

# Buffered pieces of a block are read, changed and written
sub_block()
{
	use "$BIG"
	"$PROGS/blkdata" -c write "/dev/$DEV" 0 100 1
	printf 'here' | dd of="/dev/$DEV" bs=1 seek=$((50 * 4096 + 100)) conv=notrunc,fsync status=none
	same "the bytes written" "$(dd if="/dev/$DEV" bs=1 skip=$((50 * 4096 + 100)) count=4 status=none)" here
	verify 0 50 1
	verify 51 49 1
	fails . dd if=/dev/zero of="/dev/$DEV" bs=512 seek=9 count=1 oflag=direct status=none
	verify 0 50 1
	empty "$DEV"
}

# Where the device ends
the_end()
{
	local n

	use "$BIG" size=1M
	n=$(stat_of "$DEV" slots_total)
	write 0 "$n" 1
	verify 0 "$n" 1
	fails 'No space left' dd if=/dev/zero of="/dev/$DEV" bs=4096 seek="$n" count=1 \
		oflag=direct status=none
	same "blocks past the end" "$(dd if="/dev/$DEV" bs=4096 skip="$n" iflag=direct status=none | wc -c)" 0
	verify 0 "$n" 1
	same "failed_write_full_pages" "$(stat_of "$DEV" failed_write_full_pages)" 0
	empty "$DEV"
}

# iostat_of COLUMN: of /sys/block/DEV/stat, see the kernel's Documentation/block/stat.rst
iostat_of() { awk -v c="$1" '{ print $c }' "/sys/block/$DEV/stat"; }

# What iostat(1) shows, for who asks for it
iostats()
{
	use "$BIG"
	same "iostats" "$(<"/sys/block/$DEV/queue/iostats")" 0
	write 0 100 1
	same "sectors written" "$(iostat_of 7)" 0
	_write "/sys/block/$DEV/queue/iostats" 1
	write 0 100 2
	verify 0 100 2
	same "sectors written" "$(iostat_of 7)" 800
	num "sectors read" "$(iostat_of 3)" -ge 800
	same "in flight" "$(iostat_of 9)" 0
	empty "$DEV"
}

case_ "queue limits" limits
case_ "iostats" iostats
case_ "fresh blocks read as zeros" fresh
case_ "fio --verify, several jobs" fio_verify
case_ "fio on the same blocks, write, zero, trim, read" fio_same_blocks
case_ "ext4" filesystem ext4 mkfs.ext4 -q -F -- fsck.ext4 -fn
case_ "xfs" filesystem xfs mkfs.xfs -q -f -- xfs_repair -n
case_ "discard and zeroing leave the neighbours alone" discards
case_ "no block shows another block's old data" rewritten
case_ "block 0" block_0
case_ "direct I/O from unaligned and scattered buffers" odd_buffers
case_ "less than a block at a time" sub_block
case_ "the end of the device" the_end
cases_done
