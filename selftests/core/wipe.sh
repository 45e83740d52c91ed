#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# vm: --mem 768M --nvdimm 128M --nvdimm 256M --disk 600M
# timeout: 600
# What swap and page cache leave on the media is gone when the namespace is given back, and never shown.
#
# A crash between that is what vm/crash is about.

# shellcheck source-path=SCRIPTDIR
# shellcheck disable=SC2317 # cases_done calls them
. "$(dirname "$0")/../lib/cachex.sh"

need_namespaces 2
# Where the memory map is in DRAM; $BIG has room for one
NS=$SMALL
SEED=1337

# zero_all: nothing is in the namespace, not even our header
zero_all()
{
	raw_on "$NS"
	dd if=/dev/zero of="$RAW" bs=1M oflag=direct status=none 2>/dev/null || :
	"$PROGS/blkdata" zeros "$RAW" 0 "$(ns_pages "$NS")"
	raw_off "$NS"
}

# Prints how many pages of the namespace have what was written
found()
{
	raw_on "$NS" >&2
	"$PROGS/blkdata" find "$RAW" 0 "$(ns_pages "$NS")" $SEED
	raw_off "$NS" >&2
}

# all_zeros: but for the header
all_zeros()
{
	raw_on "$NS"
	"$PROGS/blkdata" zeros "$RAW" 1 $(( $(ns_pages "$NS") - 1 ))
	raw_off "$NS"
}

flags()
{
	raw_on "$NS" >&2
	od -A n -t u4 -j 36 -N 4 "$RAW" | tr -d ' '
	raw_off "$NS" >&2
}

# claim POLICY [WHERE]: as "use", the memory map in DRAM, or in pmem
claim() { use "$NS" memmap="${2:-ram}" wipe="$1"; }
secret() { "$PROGS/blkdata" write "/dev/$DEV" 1 5000 $SEED; }
release() { unload pmemswap pmem_cachex pmem_tier; }

by_default()
{
	use "$NS"
	same "the policy" "$(</sys/module/pmem_tier/parameters/wipe)" release
}

# Without wiping it is there: what the other cases look for can be found
none()
{
	zero_all
	claim none
	secret
	release
	num "pages found" "$(found)" -ge 5000
	same "flags in the header" "$(flags)" 2
	# Still none: still there
	claim none
	release
	num "pages found" "$(found)" -ge 5000
	same "flags in the header" "$(flags)" 2
}

# ... and goes when a claim with another policy follows, before anything else
left_by_none()
{
	zero_all
	claim none
	secret
	release
	log_mark
	modprobe pmem_tier claim="$NS" memmap=ram
	log_has "$NS: wiping what an earlier use left"
	release
	same "pages found" "$(found)" 0
	all_zeros
	log_mark
	modprobe pmem_tier claim="$NS" memmap=ram
	! log_has wiping >/dev/null || fail 'it was wiped twice'
	release
}

on_release()
{
	zero_all
	claim release
	secret
	# in use, or free again
	discard_blocks "$DEV" 100 2000
	release
	all_zeros
	same "flags in the header" "$(flags)" 0
}

# fill: each page of the pool
fill()
{
	local total

	total=$(tier_stat "$NS" total_pages)
	same "pages that fit" "$("$PROGS/blkdata" fill "/dev/$DEV" 0 "$total" $SEED)" "$total 0"
}

# The memory map is in pmem, where there may have been data before; and there may be later
other_layout()
{
	NS=$BIG
	zero_all
	claim none
	fill
	release
	num "pages found" "$(found)" -ge 65000
	claim release pmem
	same "memmap" "$(tier_stat "$NS" memmap)" pmem
	release
	same "pages found" "$(found)" 0
	claim release pmem
	fill
	release
	same "pages found" "$(found)" 0
	same "flags in the header" "$(flags)" 0
	claim release
	fill
	release
	all_zeros
}

# damage OFFSET: one byte of the header
damage()
{
	local byte

	raw_on "$NS"
	dd if="$RAW" of=/tmp/header bs=4096 count=1 status=none
	byte=$(od -A n -t u1 -j "$1" -N 1 /tmp/header)
	printf '%b' "\\x$(printf '%02x' $((byte ^ 1)))" |
		dd of=/tmp/header bs=1 seek="$1" conv=notrunc status=none
	dd if=/tmp/header of="$RAW" bs=4096 count=1 oflag=direct status=none
	raw_off "$NS"
}

# other_version: as a later one of us may leave it, checksum and all
other_version()
{
	local crc

	raw_on "$NS"
	dd if="$RAW" of=/tmp/header bs=4096 count=1 status=none
	printf '\2' | dd of=/tmp/header bs=1 seek=32 conv=notrunc status=none
	# gzip's is inverted
	crc=$(head -c 4092 /tmp/header | gzip | tail -c 8 | od -A n -t u4 -N 4)
	crc=$(printf '%08x' $((crc ^ 0xffffffff)))
	printf '%b' "\\x${crc:6:2}\\x${crc:4:2}\\x${crc:2:2}\\x${crc:0:2}" |
		dd of=/tmp/header bs=1 seek=4092 conv=notrunc status=none
	dd if=/tmp/header of="$RAW" bs=4096 count=1 oflag=direct status=none
	raw_off "$NS"
}

# Flags without their checksum, as a power cut may leave them, a checksum that is wrong, another version
damaged_header()
{
	local how

	for how in 'damage 36' 'damage 4092' other_version; do
		zero_all
		claim none
		secret
		release
		$how
		log_mark
		claim release
		log_has "$NS: its header can't be relied on"
		log_has "$NS: wiping what an earlier use left"
		release
		all_zeros
		same "flags in the header" "$(flags)" 0
		log_mark
		claim release
		! log_has 'relied on|wiping' >/dev/null || fail 'the header is still damaged'
		release
	done
}

# by unbind, and what a process changed in lent pages
lent()
{
	zero_all
	claim release
	push /proc/sys/vm/page-cluster 0
	_write "/sys/block/$DEV/pmemswap/map_faults" all
	_write "/sys/block/$DEV/pmemswap/promote_pages_per_second" 0
	swap_on "$DEV"
	puppet p
	tell p map a 16M nohuge
	tell p fill a 1 random
	paged_out p a 3600
	tell p verify a
	num "pages lent" "$(stat_of "$DEV" lent_pages)" -gt 3000
	tell p fill a 2 random
	puppet_end p
	swap_off "$DEV"
	same "unbind" "$(tier_unbind "$NS")" 0
	release
	all_zeros
}

on_free()
{
	local total

	zero_all
	claim free
	secret
	empty "$DEV"
	idle "$NS"
	# All of the pool, twice: pages that wait for being wiped are as good as free ones
	total=$(tier_stat "$NS" total_pages)
	same "pages that fit" "$("$PROGS/blkdata" fill "/dev/$DEV" 0 "$total" $SEED)" "$total 0"
	empty "$DEV"
	same "pages that fit again" "$("$PROGS/blkdata" fill "/dev/$DEV" 0 "$total" 8)" "$total 0"
	# None is free but what was freed just now
	"$PROGS/blkdata" -b 1 -d write "/dev/$DEV" 0 5000 9
	"$PROGS/blkdata" verify "/dev/$DEV" 0 5000 9
	"$PROGS/blkdata" verify "/dev/$DEV" 5000 $((total - 5000)) 8
	balanced "$NS"
	empty "$DEV"
	idle "$NS"
	# With this policy giving back wipes nothing: it must have been done
	release
	all_zeros
}

cache()
{
	need_disk
	zero_all
	modprobe pmem_tier claim="$NS" memmap=ram wipe="$1"
	modprobe pmem_cachex
	grep -q '^cachex: on' "$TIER/features" || skip "this kernel can't: $(<"$TIER/features")"
	fs_on ext4
	_write $CX/targets ext4
	_write $CX/admission all
	limited f max
	truncate -s 8M "$MNT/file"
	"$PROGS/blkdata" -c write "$MNT/file" 0 2048 $SEED
	sync
	echo 3 >/proc/sys/vm/drop_caches
	cg_run "$CG" cat "$MNT/file" >/dev/null
	reclaim
	num "pages in pmem" "$(cx stored_pages)" -gt 1000
	fs_off
	release
}

cache_release()
{
	cache release
	all_zeros
}

cache_none()
{
	cache none
	num "pages found" "$(found)" -gt 1000
}

cache_free()
{
	cache free
	all_zeros
}

# Pages that held data are handed out again: what isn't written reads as zeros
never_shown()
{
	local slots

	zero_all
	claim none
	secret
	slots=$(stat_of "$DEV" slots_total)
	discard_blocks "$DEV" 1 5000
	"$PROGS/blkdata" zeros "/dev/$DEV" 1 $((slots - 1))
	release
	claim none
	"$PROGS/blkdata" zeros "/dev/$DEV" 1 $((slots - 1))
	release
}

# as_nobody CMD...: without any right
as_nobody() { setpriv --reuid 65534 --regid 65534 --clear-groups --inh-caps=-all "$@"; }

permissions()
{
	local f

	need setpriv
	claim release
	modprobe pmem_cachex
	f=$(stat -c %a "/dev/$DEV")
	[[ $f == 6?0 ]] || fail "mode of /dev/$DEV: $f"
	fails 'Permission denied' as_nobody dd if="/dev/$DEV" of=/dev/null count=1
	while read -r f; do
		# No kernel address, as root or not
		! grep -qE '(0x)?ffff[0-9a-f]{12}' "$f" || fail "$f has an address: $(<"$f")"
		as_nobody test ! -w "$f" || fail "$f can be written by anybody"
	done < <(find "$TIER" "/sys/block/$DEV/pmemswap" /sys/kernel/pmem_cachex \
		/sys/module/{pmem_tier,pmemswap,pmem_cachex}/parameters -type f -perm /444)
	# Nor has an event
	f=(/sys/kernel/tracing/events/pmem{swap,_cachex}/*/format)
	[[ -e ${f[0]} && -e ${f[-1]} ]] || fail "no events: ${f[*]}"
	! grep -E '%p|field:.*\*' "${f[@]}" || fail "an event has a pointer"
	f=("/sys/kernel/debug/pmemswap/$DEV"/*)
	[[ -e ${f[0]} ]] || fail "nothing in debugfs"
	same "modes in debugfs" "$(stat -c %a "${f[@]}" | sort -u)" 400
	same "messages with an address" "$(dmesg | grep -E 'pmem(_tier|swap|_cachex)' | grep -cE 'ffff[0-9a-f]{12}')" 0
}

# nonzero OFFSET: as if another kernel had written it
nonzero()
{
	modprobe pmem_tier_damage at=$(( $(ns_phys "$NS") + $1 )) bits=255
	rmmod pmem_tier_damage
}

# resumed POLICY: the kernel that loads the image of a hibernated system may use the namespace as well
resumed()
{
	modinfo pmem_tier_damage >/dev/null || skip 'needs the modules in selftests/modules'
	hibernate_trial
	zero_all
	claim "$1"
	nonzero $(( 64 << 20 ))
	release
	raw_on "$NS"
	! "$PROGS/blkdata" zeros "$RAW" $(( 64 << 8 )) 1 || fail 'what nobody was given is wiped'
	raw_off "$NS"
	claim "$1"
	nonzero $(( 65 << 20 ))
	_write /sys/power/state disk
	release
	all_zeros
	same "flags in the header" "$(flags)" 0
}

case_ "wiped on release by default" by_default
case_ "wipe=none leaves what was there" none
case_ "what none left is wiped by the next claim" left_by_none
case_ "swap: all that was ever written is gone on release" on_release
case_ "swap: wherever the memory map is, or was" other_layout
case_ "a header that is damaged may have said that there is something" damaged_header
case_ "swap: and what was written to lent pages" lent
case_ "swap: wipe=free" on_free
case_ "page cache: wipe=none leaves what was there" cache_none
case_ "page cache: all is gone on release" cache_release
case_ "page cache: wipe=free" cache_free
case_ "all is gone on release after hibernation" resumed release
case_ "all is gone on release after hibernation, wipe=free" resumed free
case_ "the device never shows what a page held before" never_shown
case_ "permissions; nothing shows addresses" permissions
cases_done
