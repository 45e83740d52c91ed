#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# vm: --mem 1G --nvdimm 512M --nvdimm 256M
# timeout: 300
# allow-log: Memory failure: |MCE: Killing puppet:[0-9]+ due to hardware memory corruption
# A read of pmem that fails while it goes on, and not because the page is known to be bad: an error for who reads, and
# the page isn't used again.
#
# The errors come from pmem_tier's fault attribute, which a kernel with fault injection has (make check-debug).

# shellcheck source-path=SCRIPTDIR
# shellcheck disable=SC2317 # cases_done calls them
. "$(dirname "$0")/../lib/pmemswap.sh"

need_namespaces 1
[[ -d /sys/kernel/debug/failslab ]] || skip 'needs a kernel with fault injection'
MEDIA=/sys/kernel/debug/pmem_tier/fail_media
SEED=7

# fail_next: the next read of pmem fails, and none after it
fail_next()
{
	_write $MEDIA/verbose 0
	_write $MEDIA/times 1
	_write $MEDIA/probability 100
}

# has_failed: it did
has_failed()
{
	same "reads that are still to fail" "$(<$MEDIA/times)" 0
	_write $MEDIA/probability 0
}

bad_pages() { tier_stat "$SMALL" bad_pages; }
survey() { "$PROGS/blkdata" survey "/dev/$DEV" "$@" || :; }

# read_fails SLOT KIND: reading it is an I/O error
read_fails()
{
	local before

	before=$(stat_of "$DEV" failed_read_media_pages)
	fail_next
	same "the error" "$("$PROGS/blkdata" -b 1 verify "/dev/$DEV" "$1" 1 $SEED "$2" || :)" "errno EIO at $1"
	has_failed
	same "failed_read_media_pages" "$(stat_of "$DEV" failed_read_media_pages)" $((before + 1))
}

# That slot is lost, and can be written again: elsewhere
raw()
{
	use "$SMALL"
	"$PROGS/blkdata" write "/dev/$DEV" 0 1000 $SEED random
	read_fails 123 random
	same "the slots" "$(survey 0 1000 $SEED random)" '999 1 0 123'
	same "bad_pages, in use" "$(bad_pages)" 0
	"$PROGS/blkdata" -b 1 write "/dev/$DEV" 123 1 $SEED random
	"$PROGS/blkdata" verify "/dev/$DEV" 0 1000 $SEED random
	same "bad_pages" "$(bad_pages)" 1
	empty "$DEV"
	balanced "$SMALL"
	# libnvdimm hasn't heard of it, and doesn't on every platform
	idle "$SMALL"
	same "unbind" "$(tier_unbind "$SMALL")" 0
	same "bind" "$(tier_bind "$SMALL")" 0
	same "bad_pages, claimed again" "$(bad_pages)" 1
}

# So are those whose data is in the same page, and no others
packed()
{
	local intact lost wrong slots

	use "$SMALL"
	"$PROGS/blkdata" write "/dev/$DEV" 0 1000 $SEED text
	echo 1 >"/sys/block/$DEV/pmemswap/compress_now"
	same "compressed_slots" "$(stat_of "$DEV" compressed_slots)" 1000
	read_fails 123 text
	read -r intact lost wrong slots < <(survey 0 1000 $SEED text)
	echo "lost: $slots"
	same "wrong" "$wrong" 0
	same "intact and lost" $((intact + lost)) 1000
	num "lost" "$lost" -le 16
	[[ " $slots " == *' 123 '* ]] || fail 'slot 123 can be read'
	"$PROGS/blkdata" write "/dev/$DEV" 100 50 $SEED text
	"$PROGS/blkdata" verify "/dev/$DEV" 0 1000 $SEED text
	same "bad_pages" "$(bad_pages)" 1
	empty "$DEV"
	balanced "$SMALL"
}

# A page that can't be read when it is to be compressed stays as it is
to_be_compressed()
{
	use "$SMALL"
	"$PROGS/blkdata" write "/dev/$DEV" 0 100 $SEED text
	fail_next
	echo 1 >"/sys/block/$DEV/pmemswap/compress_now"
	has_failed
	same "compressed_slots" "$(stat_of "$DEV" compressed_slots)" 99
	same "the slots" "$(survey 0 100 $SEED text | cut -d' ' -f1-3)" '99 1 0'
	empty "$DEV"
	same "bad_pages" "$(bad_pages)" 1
	balanced "$SMALL"
}

# Who claims must know what is there
guard()
{
	load_modules
	fail_next
	same "bind" "$(tier_bind "$SMALL")" EIO
	has_failed
	is_free "$SMALL"
	same "bind again" "$(tier_bind "$SMALL")" 0
}

# Pages that are lent go to DRAM, but for the one that can't be read: whoever has that is told when they touch it.
# (It is gone when mm has been told, which may be before drain looks again.)
drain()
{
	local lent drained

	use "$SMALL"
	[[ $(writing "/sys/block/$DEV/pmemswap/map_faults" all) == 0 ]] || skip 'this kernel has no page-in by mapping'
	_write "/sys/block/$DEV/pmemswap/promote_pages_per_second" 0
	swap_on "$DEV"
	puppet_out p 8M 1800
	tell p verify a
	lent=$(stat_of "$DEV" lent_pages)
	num "lent_pages" "$lent" -ge 1800
	fail_next
	drained=$(writing "/sys/block/$DEV/pmemswap/drain" 1)
	[[ $drained == @(0|EBUSY) ]] || fail "drain is '$drained'"
	has_failed
	num "lent_pages, drained" "$(stat_of "$DEV" lent_pages)" -le 1
	same "the pages" "$(ask p survey a)" '2047 1 0'
	puppet_end p
	swap_off "$DEV"
	loop_until 5 is 1 bad_pages
}

case_ "a slot" raw
case_ "a page of compressed slots" packed
case_ "a page that is to be compressed" to_be_compressed
case_ "the guard area of a namespace that is to be claimed" guard
case_ "a lent page that is to go to DRAM" drain
cases_done
