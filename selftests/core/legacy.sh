#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# vm: --mem 1G --legacy-pmem 256M --legacy-pmem 8M --legacy-pmem 17M
# timeout: 900
# The same on memmap=ss!nn memory: claim, swap, refuse, give back.

# shellcheck source-path=SCRIPTDIR
# shellcheck disable=SC2317 # cases_done calls them
. "$(dirname "$0")/../lib/pmemswap.sh"

need_namespaces 1
grep -q 'memmap=.*!' /proc/cmdline || skip "needs memmap=ss!nn memory"

swap()
{
	use "$BIG" "memmap=$1"
	same "memmap" "$(tier_stat "$BIG" memmap)" "$1"
	swap_on "$DEV"
	limited legacy 32M
	# One thread: of two, one may find the other looking through its pages (MGLRU) again and again, if that has no CPU,
	# and nothing to reclaim: then it is killed
	cg_run "$CG" "$PROGS/hog" --size 96M --random --same 10
	num "pages written" "$(stat_of "$DEV" written_pages)" -gt 10000
	swap_off "$DEV"
	idle "$BIG"
	same "unbind" "$(tier_unbind "$BIG")" 0
	same "bind" "$(tier_bind "$BIG")" 0
}

give_back()
{
	need mkfs.ext4 wipefs
	use "$BIG"
	same "unbind" "$(tier_unbind "$BIG")" 0
	raw_on "$BIG"
	mkdir -p $MNT
	mkfs.ext4 -q -F "$RAW"
	mount "$RAW" $MNT
	cp -r "$SELFTESTS" $MNT/copy
	umount $MNT
	raw_off "$BIG"
	same "bind" "$(tier_bind "$BIG")" EEXIST
	raw_on "$BIG"
	mount -o ro "$RAW" $MNT
	diff -r "$SELFTESTS" $MNT/copy
	umount $MNT
	wipefs -qa "$RAW"
	raw_off "$BIG"
	same "bind after wipefs" "$(tier_bind "$BIG")" 0
}

btt()
{
	need ndctl
	load_nd_pmem
	ndctl create-namespace -f -e "$BIG" -m sector
	at_exit ndctl destroy-namespace -f "$BIG"
	ndctl disable-namespace "$BIG"
	load_modules
	same "bind" "$(tier_bind "$BIG")" EEXIST
	unload pmemswap pmem_tier
	wipe_namespace "$BIG"
	use "$BIG"
}

# refused MIB ERROR REGEX: the namespace of that size, and what the log says of it
refused()
{
	local ns found=''

	load_modules
	for ns in $(ns_list); do
		(( $(ns_bytes "$ns") == $1 << 20 )) || continue
		found=$ns
		log_mark
		same "bind" "$(tier_bind "$ns")" "$2"
		log_has "$ns: refused: $3"
		is_free "$ns"
	done
	[[ -n $found ]] || fail "there is no namespace of $1 MiB"
}

case_ "claim, swap and release, memory map in DRAM" swap ram
case_ "claim, swap and release, memory map in pmem" swap pmem
case_ "a filesystem on it, and back" give_back
case_ "a BTT on it is refused" btt
case_ "a namespace that is too small" refused 8 EINVAL '8388608 bytes is too small'
case_ "a namespace that doesn't end where it must" refused 17 EOPNOTSUPP "libnvdimm says it can't be used .*misaligned"
cases_done
