#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# vm: --mem 1G --nvdimm 512M --nvdimm 256M
# timeout: 900
# Pages of one repeated 32-bit value take no pmem page.

# shellcheck source-path=SCRIPTDIR
# shellcheck disable=SC2317 # cases_done calls them
. "$(dirname "$0")/../lib/pmemswap.sh"

need_namespaces 1

# counts RAW SAME: slots of either kind, and the pool agrees
counts()
{
	same "raw_slots" "$(stat_of "$DEV" raw_slots)" "$1"
	same "same_filled_slots" "$(stat_of "$DEV" same_filled_slots)" "$2"
	same "slots_used" "$(stat_of "$DEV" slots_used)" $(($1 + $2))
	same "swap_pages" "$(tier_stat "$BIG" swap_pages)" "$1"
	balanced "$BIG"
}

write() { "$PROGS/blkdata" write "/dev/$DEV" "$@"; }
verify() { "$PROGS/blkdata" verify "/dev/$DEV" "$@"; }

# On the device: what a slot holds can change its kind
device()
{
	use "$BIG"
	write 1 1000 1 same
	counts 0 1000
	same "written_pages" "$(stat_of "$DEV" written_pages)" 1000
	same "same_filled_pages" "$(stat_of "$DEV" same_filled_pages)" 1000
	verify 1 1000 1 same
	same "copied_in_pages" "$(stat_of "$DEV" copied_in_pages)" 1000

	write 1001 500 1 almost
	counts 500 1000
	verify 1001 500 1 almost
	same "same_filled_pages" "$(stat_of "$DEV" same_filled_pages)" 1000

	write 1 100 2 random
	counts 600 900
	write 1001 100 3 same
	counts 500 1000
	write 1101 100 4 same
	write 1101 100 5 same
	counts 400 1100
	verify 1 100 2 random
	verify 101 900 1 same
	verify 1001 100 3 same
	verify 1101 100 5 same
	verify 1201 300 1 almost

	empty "$DEV"
	counts 0 0
	"$PROGS/blkdata" zeros "/dev/$DEV" 1 2000
}

zeros()
{
	use "$BIG"
	write 1 200 1 zero
	same "raw_slots" "$(stat_of "$DEV" raw_slots)" 0
	same "swap_pages" "$(tier_stat "$BIG" swap_pages)" 0
	verify 1 200 1 zero
	write 1 200 2 random
	write 1 200 1 zero
	same "raw_slots" "$(stat_of "$DEV" raw_slots)" 0
	verify 1 200 1 zero
	empty "$DEV"
}

# As swap; the kernel keeps zeros to itself
swapped()
{
	local written same

	use "$BIG"
	swap_on "$DEV"
	puppet p
	tell p map a 16M nohuge
	tell p fill a 1 same
	paged_out p a 4096
	counts 0 4096
	tell p verify a

	tell p fill a 2 zero
	written=$(stat_of "$DEV" written_pages)
	paged_out p a 4096
	same "zero pages that reached the device" \
		$(( $(stat_of "$DEV" written_pages) - written )) 0
	tell p verify a

	# A quarter each: random, same, zero, almost
	tell p fill a 3 mixed
	written=$(stat_of "$DEV" written_pages) same=$(stat_of "$DEV" same_filled_pages)
	paged_out p a 4096
	same "pages written" $(( $(stat_of "$DEV" written_pages) - written )) 3072
	same "pages same-filled" $(( $(stat_of "$DEV" same_filled_pages) - same )) 1024
	tell p verify a
}

# Many more of them than the pool has pages
overcommitted()
{
	local pool

	use "$BIG" size=1G
	pool=$(tier_stat "$BIG" total_pages)
	write 1 262143 1 same
	counts 0 262143
	same "free_pages" "$(tier_stat "$BIG" free_pages)" "$pool"
	verify 1 262143 1 same
	empty "$DEV"
}

case_ "on the device: counters, pages, change of kind" device
case_ "zeros take no page either" zeros
case_ "as swap" swapped
case_ "more slots than the pool has pages" overcommitted
cases_done
