#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# vm: --mem 1G --nvdimm 512M --nvdimm 256M
# timeout: 900
# swapon without mkswap: the header it reads, names, sizes, priorities, off and on again.

# shellcheck source-path=SCRIPTDIR
# shellcheck disable=SC2317 # cases_done calls them
. "$(dirname "$0")/../lib/pmemswap.sh"

need_namespaces 1

field() { blkid -p -o value -s "$2" "/dev/$1" || :; }

plain()
{
	local i slots

	use "$BIG"
	slots=$(stat_of "$DEV" slots_total)
	same "slots" "$slots" "$(tier_stat "$BIG" total_pages)"
	for i in 1 2 3; do
		swap_on "$DEV"
		same "size in /proc/swaps" "$(swap_kib "$DEV")" $(( (slots - 1) * 4 ))
		same "used" "$(swap_used_kib "$DEV")" 0
		same "type" "$(awk -v d="/dev/$DEV" '$1 == d { print $2 }' /proc/swaps)" partition
		fails 'busy' swapon "/dev/$DEV"
		swap_off "$DEV"
		! swap_active "$DEV" || fail "still active"
	done
	same "written_pages" "$(stat_of "$DEV" written_pages)" 0
}

header()
{
	local uuid

	use "$BIG"
	uuid=$(tier_stat "$BIG" uuid)
	same "TYPE" "$(field "$DEV" TYPE)" swap
	same "VERSION" "$(field "$DEV" VERSION)" 1
	same "LABEL" "$(field "$DEV" LABEL)" "$DEV"
	same "UUID" "$(field "$DEV" UUID)" "$uuid"
	same "swaplabel" "$(swaplabel "/dev/$DEV" | xargs)" "LABEL: $DEV UUID: $uuid"
	same "blkid -L" "$(blkid -L "$DEV")" "/dev/$DEV"
	same "blkid -U" "$(blkid -U "$uuid")" "/dev/$DEV"
}

by_name()
{
	local how

	use "$BIG"
	for how in "LABEL=$DEV" "UUID=$(tier_stat "$BIG" uuid)" "-L $DEV" \
		"-U $(tier_stat "$BIG" uuid)"; do
		# shellcheck disable=SC2086 # an option and its value
		swapon $how
		swap_active "$DEV"
		swap_off "$DEV"
	done
}

stable_uuid()
{
	local uuid

	use "$BIG"
	uuid=$(field "$DEV" UUID)
	same "unbind" "$(tier_unbind "$BIG")" 0
	same "bind" "$(tier_bind "$BIG")" 0
	same "UUID after rebind" "$(field "$(dev_of "$BIG")" UUID)" "$uuid"
	unload pmemswap pmem_tier
	use "$BIG" memmap=pmem size=64M
	same "UUID after reload" "$(field "$DEV" UUID)" "$uuid"
	swapon -U "$uuid"
	swap_active "$DEV"
}

distinct_uuids()
{
	[[ -n $SMALL ]] || skip "needs 2 namespaces"
	load_modules claim=all
	[[ $(field pmemswap0 UUID) != "$(field pmemswap1 UUID)" ]] || fail "the same UUID twice"
	same "labels" "$(field pmemswap0 LABEL) $(field pmemswap1 LABEL)" "pmemswap0 pmemswap1"
	swapon LABEL=pmemswap1
	swap_active pmemswap1
	! swap_active pmemswap0 || fail "the other one is active"
}

priorities()
{
	local p

	use "$BIG"
	for p in 0 1 100 32767; do
		swap_on "$DEV" -p $p
		same "priority" "$(awk -v d="/dev/$DEV" '$1 == d { print $5 }' /proc/swaps)" $p
		swap_off "$DEV"
	done
}

# swapon --discard: at once, and of freed clusters
discards()
{
	local how

	use "$BIG"
	puppet p
	tell p map a 16M
	tell p fill a 1 mixed
	for how in once pages; do
		swap_on "$DEV" "--discard=$how"
		tell p pageout a
		tell p verify a
		tell p pageout a
		swap_off "$DEV"
		tell p verify a
		idle "$BIG"
	done
}

# mkswap is not needed, but works; a discard of block 0 brings our header back
own_header()
{
	local uuid=11111111-2222-3333-4444-555555555555

	use "$BIG"
	mkswap -L other -U $uuid "/dev/$DEV"
	same "LABEL" "$(field "$DEV" LABEL)" other
	same "UUID" "$(field "$DEV" UUID)" $uuid
	swapon LABEL=other
	swap_active "$DEV"
	swap_off "$DEV"
	empty "$DEV"
	# libblkid doesn't look again within 2 seconds
	rm -f /run/blkid/blkid.tab
	same "LABEL" "$(field "$DEV" LABEL)" "$DEV"
	same "UUID" "$(field "$DEV" UUID)" "$(tier_stat "$BIG" uuid)"
	swapon "LABEL=$DEV"
}

# Off and on again with a process' data, which is right at every point
cycles()
{
	local i

	use "$BIG"
	puppet p
	tell p map a 16M nohuge
	for i in 1 2 3; do
		swap_on "$DEV"
		tell p fill a $i mixed
		tell p pageout a
		num "pages that are out" "$(ask p swapped a)" -ge 4000
		tell p verify a
		tell p pageout a
		swap_off "$DEV"
		same "pages that are out after swapoff" "$(ask p swapped a)" 0
		tell p verify a
		idle "$BIG"
	done
}

# Memory-fast swap reads what is asked for and no more, and not through the swap cache
no_readahead()
{
	local ra in

	use "$BIG"
	push /proc/sys/vm/page-cluster 5
	swap_on "$DEV"
	puppet p
	tell p map a 16M nohuge
	tell p fill a 1 random
	tell p pageout a
	ra=$(vmstat_of swap_ra) in=$(stat_of "$DEV" copied_in_pages)
	tell p verify a
	same "pages read ahead" $(( $(vmstat_of swap_ra) - ra )) 0
	num "pages copied or mapped in" $(( $(stat_of "$DEV" copied_in_pages) +
		$(stat_of "$DEV" mapped_in_pages) - in )) -ge 4000
}

case_ "swapon and swapoff without mkswap" plain
case_ "the swap header that blkid finds" header
case_ "swapon by LABEL= and UUID=" by_name
case_ "the UUID stays across rebind and reload" stable_uuid
case_ "each device has its own UUID and LABEL" distinct_uuids
case_ "priorities" priorities
case_ "swapon --discard" discards
case_ "mkswap's header, and ours back by discard" own_header
case_ "off and on again under data" cycles
case_ "no readahead" no_readahead
cases_done
