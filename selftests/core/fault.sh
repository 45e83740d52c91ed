#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# vm: --mem 1G --nvdimm 512M --nvdimm 256M
# timeout: 900
# Our own failure paths: allocations that fail one after the other, hooks that can't be installed. Either it
# fails and leaves nothing, or it works; and the kernel does what it would without us.
#
# Allocations fail where the kernel has fault injection (make check-debug).

# shellcheck source-path=SCRIPTDIR
# shellcheck disable=SC2317 # cases_done calls them
. "$(dirname "$0")/../lib/pmemswap.sh"
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/../lib/fault.sh"

need_namespaces 1

EVICTION='void __filemap_remove_folio(struct folio *, void *)'

# in_the_way PROTOTYPE: SMALL is claimed, and somebody else has hooked that function
in_the_way()
{
	modinfo pmem_tier_try >/dev/null || skip "needs the modules in selftests/modules"
	modprobe pmem_tier claim="$SMALL" memmap=ram
	load pmem_tier_try "prototype=$1" hook=1
	grep -qx 'try: on.*' "$TIER/features" || skip "$(grep ^try "$TIER/features")"
}

# The kernel doesn't expect page tables of its direct map to fail, it goes on with a NULL pointer; and it warns when
# there is no memory for struct pages
spare_add_memory() { spare arch_add_memory; }

# What modules do when they are loaded, and not how the kernel loads them
only_init()
{
	function_at do_one_initcall
	only_below "$FIRST" "$END"
}

# It fails, too, when there was nothing that could. Not each time all of them: debug kernels are slow; FAULT_MOST=3000
# takes the time.
failing() { "$PROGS/failnth" -n "${FAULT_MOST:-100}" "$@"; }

module() { modinfo -n "$1"; }

# Each on its own: it takes hundreds of loads, and there must be an end to it on a slow kernel. So hooks are for
# hooks(): while the first one can't be installed there is no waiting, each time, until nobody can be inside of any.
loads()
{
	need_injection
	only_init
	spare_add_memory
	# What the driver core says when it can't create a directory of the module's drivers
	failing -e EINVAL load "$(module pmem_tier)"
	failing -e EINVAL load "$(module pmem_tier)" "claim=$SMALL memmap=ram"
	! held "$SMALL" || fail "$SMALL is held without a module"
}

loads_pmemswap()
{
	need_injection
	in_the_way 'void disable_swap_slots_cache_lock(void)'
	only_init
	failing load "$(module pmemswap)"
	same "device" "$(dev_of "$SMALL")" ''
	balanced "$SMALL"
	unload pmem_tier_try
}

loads_cachex()
{
	need_injection
	in_the_way "$EVICTION"
	only_init
	failing load "$(module pmem_cachex)" targets=ext4
	balanced "$SMALL"
	unload pmem_tier_try
}

# claim and give back. fails at what is ours
claims()
{
	need_injection
	# there is something to wipe, which a memory map in pmem takes mappings of its own for
	use "$SMALL" memmap=ram wipe=none
	DEV=$(dev_of "$SMALL")
	"$PROGS/blkdata" write "/dev/$DEV" 0 100 3
	empty "$DEV"
	unload pmemswap pmem_tier
	load_modules memmap="$1"
	modprobe pmem_cachex
	only_in pmem_tier pmemswap pmem_cachex
	spare_add_memory
	failing write "$ND/drivers/pmem_tier/bind" "$SMALL" "$ND/drivers/pmem_tier/unbind" "$SMALL"
	is_free "$SMALL"
	same "bind" "$(tier_bind "$SMALL")" 0
	failing write "$ND/drivers/pmem_tier/unbind" "$SMALL" "$ND/drivers/pmem_tier/bind" "$SMALL"
	is_held "$SMALL"
	DEV=$(dev_of "$SMALL")
	"$PROGS/blkdata" write "/dev/$DEV" 0 100 3
	"$PROGS/blkdata" verify "/dev/$DEV" 0 100 3
	empty "$DEV"
}

# What compression takes, which a device gets when it is first wanted
compression()
{
	local again=("$ND/drivers/pmem_tier/unbind" "$SMALL" "$ND/drivers/pmem_tier/bind" "$SMALL") d meta

	need_injection
	use "$SMALL"
	d=/sys/block/$DEV/pmemswap meta=$TIER/$SMALL/metadata_bytes
	only_in pmem_tier pmemswap
	failing -k "$meta" write "$d/compress" always "${again[@]}"
	failing -k "$meta" write "$d/compress_now" 1 "${again[@]}"
	_write "$d/compress" always
	failing -k "$meta" write "$d/compress_level" 19 "$d/compress_level" 1
	"$PROGS/blkdata" write "/dev/$DEV" 0 500 3 text
	_write "$d/compress_now" 1
	"$PROGS/blkdata" verify "/dev/$DEV" 0 500 3 text
	empty "$DEV"
}

# The hooks, which are there from the first device on unless something is in the way
hooks()
{
	need_injection
	in_the_way 'void disable_swap_slots_cache_lock(void)'
	modprobe pmemswap
	unload pmem_tier_try
	DEV=$(dev_of "$SMALL")
	only_in pmem_tier pmemswap
	failing write "/sys/block/$DEV/pmemswap/map_faults" all
	grep -q '^map_in: on' "$TIER/features" || fail "$(<"$TIER/features")"
}

hooks_cache()
{
	need_injection
	in_the_way "$EVICTION"
	modprobe pmem_cachex
	same "enabled" "$(</sys/kernel/pmem_cachex/enabled)" 0
	unload pmem_tier_try
	only_in pmem_tier pmem_cachex
	failing write /sys/kernel/pmem_cachex/enabled 1
	grep -q '^cachex: on' "$TIER/features" || fail "$(<"$TIER/features")"
}

# Files that do something, with pages lent
files()
{
	local d

	need_injection
	use "$SMALL"
	d=/sys/block/$DEV/pmemswap
	modprobe pmem_cachex
	push /proc/sys/vm/page-cluster 0
	_write "$d/map_faults" all
	_write "$d/promote_pages_per_second" 0
	swap_on "$DEV"
	puppet_out p 8M 1800
	tell p verify a
	num "pages lent" "$(stat_of "$DEV" lent_pages)" -gt 1000
	only_in pmem_tier pmemswap pmem_cachex
	failing write /sys/kernel/pmem_cachex/targets ext4
	_write "$d/map_faults" off
	# It tries again
	failing write "$d/drain" 1
	same "lent_pages" "$(stat_of "$DEV" lent_pages)" 0
	tell p verify a
}

# Every tenth of our allocations fails while swap is in use: no data is lost
under_swap()
{
	local f most=1000000

	need_injection
	use "$SMALL"
	push /proc/sys/vm/page-cluster 0
	_write "/sys/block/$DEV/pmemswap/map_faults" all
	swap_on "$DEV"
	puppet p
	tell p map a 16M nohuge
	tell p fill a 1 random
	only_in pmem_tier pmemswap
	for f in failslab fail_page_alloc; do
		push $FAULT/$f/times $most
		push $FAULT/$f/probability 10
	done
	for f in 1 2 3; do
		tell p pageout a
		tell p verify a
		writing "/sys/block/$DEV/pmemswap/unlend" 1
		tell p verify a
		writing "/sys/block/$DEV/pmemswap/drain" 1
		tell p fill a $((f + 1)) random
	done
	tell p verify a
	for f in failslab fail_page_alloc; do
		num "$f/times" "$(<$FAULT/$f/times)" -lt $most
	done
}

# Bios fail before they come to us: what can't be swapped out stays, what is mapped in needs none, and nothing is lost
bios()
{
	local f=$FAULT/fail_make_request d unreadable wrong

	[[ -d $f ]] || skip 'needs a kernel with fault injection'
	use "$SMALL"
	d=/sys/block/$DEV/pmemswap
	push /proc/sys/vm/page-cluster 0
	_write "$d/promote_pages_per_second" 0
	_write "$d/map_faults" all
	push $f/verbose 0
	push $f/interval 1
	push $f/times -1
	push $f/probability 0
	_write "/sys/block/$DEV/make-it-fail" 1
	swap_on "$DEV"
	puppet p
	tell p map a 8M nohuge
	tell p fill a 1 random
	_write $f/probability 100
	tell p pageout a
	same "swap_pages" "$(tier_stat "$SMALL" swap_pages)" 0
	tell p verify a
	puppet_end p
	_write $f/probability 0
	puppet_out p 8M 1800
	_write $f/probability 100
	tell p verify a
	num "pages lent" "$(stat_of "$DEV" lent_pages)" -ge 1800
	_write "$d/unlend" 1
	_write "$d/map_faults" off
	tell p survey a
	read -r _ unreadable wrong <<<"$REPLY"
	num "pages that can't be read" "$unreadable" -ge 1800
	same "pages that are wrong" "$wrong" 0
	_write $f/probability 0
	tell p verify a
}

# Somebody else has hooked what we want to hook: all is as without, and comes when that is gone
# taken PROTOTYPE: for pmemswap
taken()
{
	local map

	in_the_way "$1"
	log_mark
	modprobe pmemswap
	log_has 'map_in is off: .*hook'
	DEV=$(dev_of "$SMALL")
	map=/sys/block/$DEV/pmemswap/map_faults
	same "map_faults" "$(<"$map")" off
	same "turning it on" "$(writing "$map" all)" EOPNOTSUPP
	same "map_faults" "$(<"$map")" off
	swap_on "$DEV"
	puppet_out p 8M 1800
	tell p verify a
	num "pages copied" "$(stat_of "$DEV" copied_in_pages)" -gt 0
	same "pages lent" "$(stat_of "$DEV" lent_pages)" 0
	puppet_end p
	swap_off "$DEV"
	unload pmem_tier_try
	idle "$SMALL"
	same "turning it on" "$(writing "$map" all)" 0
	swap_on "$DEV"
	puppet_out p 8M 1800
	tell p verify a
	num "pages lent" "$(stat_of "$DEV" lent_pages)" -gt 0
	_write "$map" off
}

# The search for slots is hooked already: a pool that runs dry has writes fail, no data is lost
taken_scan()
{
	in_the_way 'int scan_swap_map_slots(struct swap_info_struct *, unsigned char, int, swp_entry_t *, int)'
	log_mark
	modprobe pmemswap size=512M
	log_has 'next_device is off: .*hook'
	grep -q '^next_device: off: .*hook' "$TIER/features" || fail "$(<"$TIER/features")"
	grep -q '^map_in: on' "$TIER/features" || fail "$(<"$TIER/features")"
	DEV=$(dev_of "$SMALL")
	swap_on "$DEV"
	puppet p
	tell p map a 240M
	tell p fill a 1 random
	tell p pageout a
	puppet q
	tell q map a 32M
	tell q fill a 2 random
	tell q pageout a
	same "refused_allocations" "$(stat_of "$DEV" refused_allocations)" 0
	num "failed_write_full_pages" "$(stat_of "$DEV" failed_write_full_pages)" -gt 0
	tell p verify a
	tell q verify a
	puppet_end p
	puppet_end q
	swap_off "$DEV"
	unload pmemswap pmem_tier_try
}

taken_cache()
{
	in_the_way "$1"
	modprobe pmem_cachex
	same "enabled" "$(</sys/kernel/pmem_cachex/enabled)" 0
	grep -q '^cachex: off: .*hook' "$TIER/features" || fail "$(<"$TIER/features")"
	[[ $(writing /sys/kernel/pmem_cachex/enabled 1) != 0 ]] || fail 'it was turned on'
	same "enabled" "$(</sys/kernel/pmem_cachex/enabled)" 0
	unload pmem_tier_try
	same "turning it on" "$(writing /sys/kernel/pmem_cachex/enabled 1)" 0
	grep -q '^cachex: on' "$TIER/features" || fail "$(<"$TIER/features")"
}

# vanishes: the DIMMs' driver goes while the device is swapped on. Removal waits, nothing is lost.
vanishes()
{
	local nfit pid

	nfit=$(echo /sys/bus/acpi/drivers/nfit/ACPI0012:*)
	[[ -e $nfit ]] || skip "needs an NVDIMM of ACPI NFIT"
	use "$SMALL"
	swap_on "$DEV"
	puppet_out p 8M 1800
	log_mark
	at_exit _nfit_again "${nfit##*/}"
	echo "${nfit##*/}" >/sys/bus/acpi/drivers/nfit/unbind &
	pid=$!
	loop_until 20 log_has "$SMALL: removal waits" >/dev/null
	tell p verify a
	tell p fill a 2 random
	swap_off "$DEV"
	wait "$pid"
	tell p verify a
	! held "$SMALL" || fail "$SMALL is still held"
	same "devices" "$(find /sys/block/ -name 'pmemswap*')" ''
}

_nfit_again()
{
	_clean_up
	[[ -e /sys/bus/acpi/drivers/nfit/$1 ]] || echo "$1" >/sys/bus/acpi/drivers/nfit/bind
	cat "$ND"/devices/ndbus*/wait_probe >/dev/null
}

case_ "claiming and giving back, memmap=ram" claims ram
case_ "claiming and giving back, memmap=pmem" claims pmem
case_ "compression" compression
case_ "hooks" hooks
case_ "hooks, page cache" hooks_cache
case_ "files that do something" files
case_ "swap while allocations fail at random" under_swap
case_ "bios fail" bios
case_ "loading, with each allocation failing in turn" loads
case_ "loading pmemswap" loads_pmemswap
case_ "loading pmem_cachex" loads_cachex
case_ "do_swap_page() is hooked already" taken 'unsigned int do_swap_page(struct vm_fault *)'
case_ "zswap_store() is hooked already" taken 'bool zswap_store(struct folio *)'
case_ "swapoff's function is hooked already" taken 'void disable_swap_slots_cache_lock(void)'
case_ "long-term pins are hooked already" taken 'int migrate_device_coherent_folio(struct folio *)'
case_ "the search for slots is hooked already" taken_scan
case_ "eviction is hooked already" taken_cache "$EVICTION"
case_ "unmapping is hooked already" taken_cache 'void try_to_unmap(struct folio *, enum ttu_flags)'
case_ "long-term pins are hooked already, page cache" taken_cache 'int migrate_device_coherent_folio(struct folio *)'
case_ "the namespace vanishes under swap" vanishes
cases_done
