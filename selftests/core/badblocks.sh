#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# vm: --mem 1G --nvdimm 512M --nvdimm 256M
# timeout: 900
# allow-log: MCE: Killing puppet:[0-9]+ due to hardware memory corruption fault
# Known bad pages are never handed out; a page that goes bad in use costs its own slot and no other.
#
# The errors come by the kernel's real path: mce-inject reports an uncorrected memory error at an
# address in the NVDIMM, the nfit driver puts it on the bus' list of bad ranges and notifies. The
# list goes with the bus, so that is taken down and brought up again in the end.

# shellcheck source-path=SCRIPTDIR
# shellcheck disable=SC2317 # cases_done calls them
. "$(dirname "$0")/../lib/pmemswap.sh"

need_namespaces 2
modprobe -q mce-inject || skip "needs the module mce-inject"
NFIT=$(echo /sys/bus/acpi/drivers/nfit/ACPI0012:*)
[[ -e $NFIT ]] || skip "needs an NVDIMM of ACPI NFIT"
MCE=/sys/kernel/debug/mce-inject

bad_ranges() { cat "$ND/devices/$(region_of "$1")/badblocks"; }
knows() { bad_ranges "$1" | grep -q "^$2 "; }

# Uncorrected memory error, address valid, 4096 bytes
report_error()
{
	local status bank

	case $(grep -m1 vendor_id /proc/cpuinfo) in
	*AMD|*Hygon*)	status=$(( 1 << 61 | 1 << 58 | 8 << 16 )) bank=4 ;;
	*)		status=$(( 1 << 61 | 1 << 58 | 0x80 )) bank=1 ;;
	esac
	echo sw >$MCE/flags
	echo 0 >$MCE/cpu
	echo 0x8c >$MCE/misc
	printf '%#x\n' "$status" >$MCE/status
	printf '%#x\n' "$1" >$MCE/addr
	echo $bank >$MCE/bank
}

# poison NAMESPACE PAGE: of the namespace, not of the pool
poison()
{
	report_error $(( $(ns_phys "$1") + $2 * 4096 ))
	loop_until 10 knows "$1" $(( $2 * 8 ))
}

# Without bad ranges, at the end of each case
forget()
{
	local ns

	_clean_up
	echo "${NFIT##*/}" >/sys/bus/acpi/drivers/nfit/unbind
	echo "${NFIT##*/}" >/sys/bus/acpi/drivers/nfit/bind
	cat "$ND"/devices/ndbus*/wait_probe >/dev/null
	for ns in "$BIG" "$SMALL"; do
		# nd_pmem is quick
		[[ -z $(ns_driver "$ns") ]] || ns_unbind "$ns"
	done
}

# survey DEVICE FIRST COUNT SEED: "INTACT UNREADABLE WRONG [PAGES]"
survey() { "$PROGS/blkdata" survey "$@" || :; }

bad_pages() { tier_stat "$SMALL" bad_pages; }

# Bad from before: what stands on the page stays there, and everything else can be used
known_before()
{
	local page=5000 total

	at_exit forget
	raw_on "$SMALL"
	"$PROGS/blkdata" write "$RAW" $((page - 2)) 5 77
	raw_off "$SMALL"
	poison "$SMALL" $page
	use "$SMALL" memmap=ram
	same "bad_pages" "$(bad_pages)" 1
	total=$(tier_stat "$SMALL" total_pages)
	same "free_pages" "$(tier_stat "$SMALL" free_pages)" $((total - 1))
	same "pages that fit" "$("$PROGS/blkdata" fill "/dev/$DEV" 0 "$total" 7)" \
		"$((total - 1)) ENOSPC"
	same "free_pages when full" "$(tier_stat "$SMALL" free_pages)" 0
	balanced "$SMALL"
	empty "$DEV"
	idle "$SMALL"

	# It is still known after unbind and bind, and after a reload
	same "unbind" "$(tier_unbind "$SMALL")" 0
	same "bind" "$(tier_bind "$SMALL")" 0
	same "bad_pages after bind" "$(bad_pages)" 1
	unload pmemswap pmem_tier
	use "$SMALL" memmap=ram
	same "bad_pages after reload" "$(bad_pages)" 1
	unload pmemswap pmem_tier

	forget
	raw_on "$SMALL"
	"$PROGS/blkdata" verify "$RAW" $page 1 77
	same "a neighbour that was used" \
		"$(survey "$RAW" $((page - 1)) 1 77 2>/dev/null)" '0 0 1'
	raw_off "$SMALL"
}

# Bad while free: it leaves the pool at once
goes_bad_free()
{
	local total i

	at_exit forget
	use "$SMALL" memmap=ram
	total=$(tier_stat "$SMALL" total_pages)
	for i in 1 2 3; do
		poison "$SMALL" $((3000 * i))
		loop_until 5 is $i bad_pages
		same "free_pages" "$(tier_stat "$SMALL" free_pages)" $((total - i))
		balanced "$SMALL"
	done
	# The same again is nothing new
	report_error $(( $(ns_phys "$SMALL") + 3000 * 4096 ))
	same "pages that fit" "$("$PROGS/blkdata" fill "/dev/$DEV" 0 "$total" 7)" \
		"$((total - 3)) ENOSPC"
	same "bad_pages" "$(bad_pages)" 3
	empty "$DEV"
}

# Bad while a slot's data is on it: that slot can't be read, it can be written when there is another
# page, and the bad one never comes back
goes_bad_in_use()
{
	local total counts slot failed_read

	at_exit forget
	use "$SMALL" memmap=ram
	total=$(tier_stat "$SMALL" total_pages)
	same "pages that fit" "$("$PROGS/blkdata" fill "/dev/$DEV" 0 "$total" 7)" "$total 0"
	poison "$SMALL" 4444
	failed_read=$(stat_of "$DEV" failed_read_media_pages)
	read -r counts slot < <(survey "/dev/$DEV" 0 "$total" 7 |
		sed 's/ /,/; s/ /,/')
	same "intact, unreadable and wrong slots" "$counts" "$((total - 1)),1,0"
	same "the error" "$("$PROGS/blkdata" -b 1 verify "/dev/$DEV" "$slot" 1 7 || :)" \
		"errno EIO at $slot"
	num "failed_read_media_pages" "$(stat_of "$DEV" failed_read_media_pages)" -gt "$failed_read"
	same "bad_pages, in use" "$(bad_pages)" 0
	balanced "$SMALL"

	# No other page is free
	same "write when full" "$("$PROGS/blkdata" -b 1 write "/dev/$DEV" "$slot" 1 8 || :)" \
		"errno EIO at $slot"
	same "failed_write_media_pages" "$(stat_of "$DEV" failed_write_media_pages)" 1
	same "the other slots" "$(survey "/dev/$DEV" 0 "$total" 7)" \
		"$((total - 1)) 1 0 $slot"

	# One is: the slot moves there
	discard_blocks "$DEV" $((slot ^ 1)) 1
	"$PROGS/blkdata" -b 1 write "/dev/$DEV" "$slot" 1 8
	"$PROGS/blkdata" -b 1 verify "/dev/$DEV" "$slot" 1 8
	same "bad_pages, not in use any more" "$(bad_pages)" 1
	same "free_pages" "$(tier_stat "$SMALL" free_pages)" 0
	balanced "$SMALL"

	empty "$DEV"
	same "pages that fit" "$("$PROGS/blkdata" fill "/dev/$DEV" 0 "$total" 9)" \
		"$((total - 1)) ENOSPC"
	empty "$DEV"
}

# packed SLOT: the page of the namespace that its compressed data begins in
packed()
{
	local state=/sys/kernel/debug/pmemswap/$DEV/block_state

	echo $(( $(awk -v i="$1" '$1 == i && $3 == "c.." { print $5 }' "$state") - $(ns_phys "$SMALL") / 4096 ))
}

# Compressed: those whose data is in the page can't be read, the others can, and move away from beside it
goes_bad_packed()
{
	local i before rest lost

	at_exit forget
	use "$SMALL" memmap=ram
	"$PROGS/blkdata" write "/dev/$DEV" 0 1500 7 text
	echo 1 >"/sys/block/$DEV/pmemswap/compress_now"
	same "compressed_slots" "$(stat_of "$DEV" compressed_slots)" 1500
	poison "$SMALL" "$(packed 500)"
	read -r i lost rest < <(survey "/dev/$DEV" 0 1500 7 text)
	echo "lost: $rest"
	num "slots that can't be read" "$lost" -ge 1
	same "wrong" "${rest%% *}" 0
	[[ " $rest " == *' 500 '* ]] || fail "slot 500 can be read"
	same "intact" "$i" $(( 1500 - lost ))
	same "bad_pages, in use" "$(bad_pages)" 0

	for (( i = 1000; i < 1400; i += 2 )); do
		discard_blocks "$DEV" "$i" 1
	done
	before=$(stat_of "$DEV" packed_pages)
	echo 1 >"/sys/block/$DEV/pmemswap/compress_now"
	num "packed_pages, cleaned" "$(stat_of "$DEV" packed_pages)" -lt "$before"
	same "the first slots" "$(survey "/dev/$DEV" 0 1000 7 text)" "$(( 1000 - lost )) $lost $rest"
	for (( i = 1001; i < 1400; i += 2 )); do
		"$PROGS/blkdata" verify "/dev/$DEV" "$i" 1 7 text
	done
	"$PROGS/blkdata" verify "/dev/$DEV" 1400 100 7 text

	# Written again it is as good as any; the page goes when nothing is in it any more
	"$PROGS/blkdata" write "/dev/$DEV" 400 200 8 text
	"$PROGS/blkdata" verify "/dev/$DEV" 400 200 8 text
	same "bad_pages, not in use any more" "$(bad_pages)" 1
	empty "$DEV"
	balanced "$SMALL"
}

# Freed while bad: straight out of the pool
freed_while_bad()
{
	local total

	at_exit forget
	use "$SMALL" memmap=ram
	total=$(tier_stat "$SMALL" total_pages)
	same "pages that fit" "$("$PROGS/blkdata" fill "/dev/$DEV" 0 "$total" 7)" "$total 0"
	poison "$SMALL" 30000
	same "bad_pages, in use" "$(bad_pages)" 0
	empty "$DEV"
	same "bad_pages" "$(bad_pages)" 1
	same "free_pages" "$(tier_stat "$SMALL" free_pages)" $((total - 1))
}

# As swap: a process meets SIGBUS on the pages that are lost, and no other; swapoff works
under_swap()
{
	local i intact unreadable wrong

	at_exit forget
	use "$SMALL" memmap=ram
	swap_on "$DEV"
	puppet p
	tell p map a 200M nohuge
	tell p fill a 1 random
	tell p pageout a
	num "pages that are out" "$(ask p swapped a)" -gt 51000
	# 3 of 4 pages of the pool are in use, so some of these are hit
	for i in {1..12}; do
		poison "$SMALL" $((i * 5003))
	done
	tell p survey a
	read -r intact unreadable wrong <<<"$REPLY"
	echo "intact $intact, unreadable $unreadable, wrong $wrong"
	same "intact and unreadable" $((intact + unreadable)) 51200
	num "unreadable" "$unreadable" -gt 0
	num "unreadable" "$unreadable" -le 12
	same "wrong" "$wrong" 0

	swap_off "$DEV"
	same "after swapoff" "$(ask p survey a)" "$intact $unreadable $wrong"
	tell p zap a
	tell p fill a 2 random
	tell p verify a
	loop_until 5 is 12 bad_pages
}

# A bad block in a guard area, or where the memory map would go
in_metadata()
{
	at_exit forget
	load_modules memmap=pmem
	poison "$SMALL" $((GUARD_PAGES + 600))
	log_mark
	same "bind" "$(tier_bind "$SMALL")" 0
	same "memmap" "$(tier_stat "$SMALL" memmap)" ram
	log_has "$SMALL.*bad"
	same "bad_pages" "$(bad_pages)" 1
	same "unbind" "$(tier_unbind "$SMALL")" 0
	poison "$SMALL" 3
	same "bind, bad head" "$(tier_bind "$SMALL")" EIO
	is_free "$SMALL"
	poison "$BIG" $(( $(ns_pages "$BIG") - 1 ))
	same "bind, bad tail" "$(tier_bind "$BIG")" EIO
	is_free "$BIG"
}

# ... and while the namespace is in use, which goes on; the next claim is refused
guard_fails()
{
	local ns dev

	modprobe -q hwpoison-inject || skip "needs the module hwpoison-inject"
	at_exit forget
	load_modules claim=all memmap=ram
	poison "$SMALL" 0
	poison "$BIG" 5
	poison "$BIG" $(( $(ns_pages "$BIG") - 1 ))
	# mm isn't told by mce-inject
	same "corrupt-pfn" "$(writing "$CORRUPT" $(( $(ns_phys "$SMALL") / 4096 + 7 )))" EHWPOISON
	for ns in "$SMALL" "$BIG"; do
		dev=$(dev_of "$ns")
		"$PROGS/blkdata" write "/dev/$dev" 0 1000 7
		"$PROGS/blkdata" verify "/dev/$dev" 0 1000 7
		same "bad_pages of $ns" "$(tier_stat "$ns" bad_pages)" 0
		same "unbind" "$(tier_unbind "$ns")" 0
		log_mark
		same "bind" "$(tier_bind "$ns")" EIO
		log_has "$ns: refused: can't read the first or last 256 KiB"
		is_free "$ns"
	done
}

# More than libnvdimm can tell of at a time (512)
many()
{
	local n=600 i first total

	at_exit forget
	first=$(( $(ns_phys "$SMALL") + 200 * 4096 ))
	for (( i = 0; i < n; i++ )); do
		report_error $(( first + i * 65536 ))
	done
	use "$SMALL" memmap=ram
	loop_until 60 is $n bad_pages
	total=$(tier_stat "$SMALL" total_pages)
	same "pages that fit" "$("$PROGS/blkdata" fill "/dev/$DEV" 0 "$total" 7)" "$((total - n)) ENOSPC"
	balanced "$SMALL"
	empty "$DEV"
	same "unbind" "$(tier_unbind "$SMALL")" 0
	same "bind" "$(tier_bind "$SMALL")" 0
	same "bad_pages after bind" "$(bad_pages)" $n
}

# The other way in: mm's own memory_failure(), as for an error found while the kernel reads
by_memory_failure()
{
	local pfn total

	modprobe -q hwpoison-inject || skip "needs the module hwpoison-inject"
	at_exit forget
	use "$SMALL" memmap=ram
	total=$(tier_stat "$SMALL" total_pages)
	pfn=$(( $(ns_phys "$SMALL") / 4096 + 7777 ))
	same "corrupt-pfn, a free page" "$(writing "$CORRUPT" "$pfn")" 0
	same "bad_pages" "$(bad_pages)" 1
	same "pages that fit" "$("$PROGS/blkdata" fill "/dev/$DEV" 0 "$total" 7)" \
		"$((total - 1)) ENOSPC"
	# One in use is left in the direct map, where it may just be read or written
	same "corrupt-pfn, a page in use" "$(writing "$CORRUPT" $((pfn + 1)))" EHWPOISON
	same "intact, unreadable and wrong slots" \
		"$(survey "/dev/$DEV" 0 $((total - 1)) 7 | cut -d' ' -f1-3)" \
		"$((total - 2)) 1 0"
	empty "$DEV"
	same "bad_pages" "$(bad_pages)" 2
	# libnvdimm wasn't told
	same "unbind" "$(tier_unbind "$SMALL")" 0
	same "bind" "$(tier_bind "$SMALL")" 0
	same "bad_pages of the next claim" "$(bad_pages)" 2
	same "free_pages" "$(tier_stat "$SMALL" free_pages)" $((total - 2))
}

case_ "a page known to be bad is never used" known_before
case_ "a free page that goes bad leaves the pool" goes_bad_free
case_ "a slot whose page goes bad can't be read, the others can" goes_bad_in_use
case_ "compressed slots whose page goes bad" goes_bad_packed
case_ "a bad page that is freed doesn't come back" freed_while_bad
case_ "bad pages under swap" under_swap
case_ "bad blocks in the guard areas and where the memory map goes" in_metadata
case_ "bad blocks in the guard areas of a namespace that is in use" guard_fails
case_ "more bad blocks than libnvdimm tells of at a time" many
case_ "memory_failure() marks pages, too" by_memory_failure
cases_done
