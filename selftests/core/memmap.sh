#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# vm: --mem 1G --nvdimm 512M --nvdimm 256M
# timeout: 900
# Where the memory map goes, what it costs in DRAM and in pages, and that all of it comes back.

# shellcheck source-path=SCRIPTDIR
# shellcheck disable=SC2317 # cases_done calls them
. "$(dirname "$0")/../lib/pmemswap.sh"

need_namespaces 2

SECTION_PAGES=32768	# 128 MiB: the least whose memory map can lie in pmem

memmap_pages() { echo $(( $(ns_pages "$1") / 64 )); }

# Only whole sections; a namespace that begins in the middle of one has fewer
whole_sections()
{
	local first=$(( $(ns_phys "$1") / 4096 )) end

	end=$(( (first + $(ns_pages "$1")) / SECTION_PAGES ))
	first=$(( (first + SECTION_PAGES - 1) / SECTION_PAGES ))
	echo $(( end > first ? end - first : 0 ))
}

in_ram()
{
	local pages

	pages=$(ns_pages "$1")
	same "memmap of $1" "$(tier_stat "$1" memmap)" ram
	same "total_pages of $1" "$(tier_stat "$1" total_pages)" $((pages - 2 * GUARD_PAGES))
	# struct pages, and 2 bits and a little for the pool's maps
	num "metadata_bytes of $1" "$(tier_stat "$1" metadata_bytes)" -ge $((pages * 64))
	num "metadata_bytes of $1" "$(tier_stat "$1" metadata_bytes)" -le $((pages * 65 + 65536))
}

in_pmem()
{
	local pages most

	pages=$(ns_pages "$1")
	same "memmap of $1" "$(tier_stat "$1" memmap)" pmem
	# Up to 2 MiB go for alignment
	most=$(( pages - 2 * GUARD_PAGES - $(whole_sections "$1") * SECTION_PAGES / 64 ))
	num "total_pages of $1" "$(tier_stat "$1" total_pages)" -le $most
	num "total_pages of $1" "$(tier_stat "$1" total_pages)" -gt $((most - 512))
	num "metadata_bytes of $1" "$(tier_stat "$1" metadata_bytes)" -le \
		$(( (pages - $(whole_sections "$1") * SECTION_PAGES) * 64 + pages + 65536 ))
}

place()
{
	modprobe pmem_tier claim=all memmap="$1"
	"in_$1" "$BIG"
	"in_$1" "$SMALL"
}

# 8 bytes a slot at most, on top
slot_table()
{
	local before after slots

	modprobe pmem_tier claim="$BIG"
	before=$(tier_stat "$BIG" metadata_bytes)
	modprobe pmemswap
	after=$(tier_stat "$BIG" metadata_bytes)
	slots=$(stat_of "$(dev_of "$BIG")" slots_total)
	num "bytes more with a swap device" $((after - before)) -gt 0
	num "bytes more with a swap device" $((after - before)) -le $((slots * 8 + 65536))
	rmmod pmemswap
	same "metadata_bytes without it" "$(tier_stat "$BIG" metadata_bytes)" "$before"
}

# The whole device works, whatever lies beside it
every_page()
{
	local total

	use "$SMALL" memmap=pmem
	same "memmap" "$(tier_stat "$SMALL" memmap)" pmem
	total=$(tier_stat "$SMALL" total_pages)
	same "pages that fit" "$("$PROGS/blkdata" fill "/dev/$DEV" 0 "$total" 7)" "$total 0"
	same "free_pages" "$(tier_stat "$SMALL" free_pages)" 0
	empty "$DEV"
}

# auto: pmem once the map takes more than 2% of what is available, which we make so for $BIG only
auto()
{
	local available want

	modprobe pmem_tier claim=all
	available=$(meminfo MemAvailable)
	want=$(( $(memmap_pages "$BIG") * 4 * 50 * 3 / 4 ))
	num "2% of MemAvailable" $((available / 50)) -gt $(( $(memmap_pages "$BIG") * 4 ))
	in_ram "$BIG"
	in_ram "$SMALL"
	rmmod pmem_tier

	puppet balloon
	tell balloon map a "$(( $(meminfo MemAvailable) - want ))K"
	tell balloon lock a
	available=$(meminfo MemAvailable)
	num "2% of MemAvailable" $((available / 50)) -lt $(( $(memmap_pages "$BIG") * 4 ))
	num "2% of MemAvailable" $((available / 50)) -gt $(( $(memmap_pages "$SMALL") * 4 + 512 ))
	# So little of it goes to the first one that the second is judged alike
	modprobe pmem_tier claim="$SMALL"
	in_ram "$SMALL"
	rmmod pmem_tier
	modprobe pmem_tier claim="$BIG"
	in_pmem "$BIG"
	rmmod pmem_tier
	puppet_end balloon
}

# Free DRAM in KiB: without what can be dropped, with what CPUs keep at hand (not in MemFree; huge
# pages are among it)
free_dram()
{
	sync
	echo 3 >/proc/sys/vm/drop_caches
	awk '$1 == "count:" { sum += $2 * 4 } FILENAME == "/proc/meminfo" && $1 == "MemFree:" { sum += $2 }
		END { print sum }' /proc/zoneinfo /proc/meminfo
}

# MemFree goes down by what metadata_bytes says
cost()
{
	local policy before after said

	for policy in ram pmem; do
		modprobe pmem_tier memmap=$policy
		before=$(free_dram)
		same "bind" "$(tier_bind "$BIG")" 0
		said=$(( $(tier_stat "$BIG" metadata_bytes) / 1024 ))
		after=$(free_dram)
		echo "memmap=$policy: metadata_bytes $said KiB, MemFree -$((before - after)) KiB"
		num "DRAM taken with memmap=$policy" $((before - after)) -ge $((said - 2048))
		num "DRAM taken with memmap=$policy" $((before - after)) -le $((said + 3072))
		rmmod pmem_tier
	done
}

# Claiming and giving back costs nothing in the long run
leak()
{
	local policy i before after

	for policy in ram pmem; do
		load_modules memmap=$policy
		for i in {1..14}; do
			# The first rounds fill caches of the kernel's own
			(( i != 5 )) || before=$(free_dram)
			same "bind $i" "$(tier_bind "$BIG")" 0
			same "unbind $i" "$(tier_unbind "$BIG")" 0
		done
		after=$(free_dram)
		echo "memmap=$policy: MemFree $before KiB, after 10 rounds $after KiB"
		# A debug kernel keeps who allocated what, and what was freed; and it has kmemleak
		num "DRAM that 10 rounds cost" $((before - after)) -lt $((1536 * ${KTAP_SLOW:-1}))
		unload pmemswap pmem_tier
	done
}

# The range is ours while we hold it, and is named in /proc/iomem
iomem()
{
	modprobe pmem_tier claim="$BIG"
	same "lines with its name" "$(count "$BIG" /proc/iomem)" 1
	rmmod pmem_tier
	same "lines with its name, given back" "$(count "$BIG" /proc/iomem)" 0
}

case_ "memmap=ram" place ram
case_ "memmap=pmem" place pmem
case_ "the slot table takes 8 bytes a slot at most" slot_table
case_ "with memmap=pmem every page of the pool can be used" every_page
case_ "memmap=auto looks at the DRAM that is available" auto
case_ "metadata_bytes is what it costs" cost
case_ "claiming and giving back again and again leaks nothing" leak
case_ "the range is reserved while it is held" iomem
cases_done
