#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# vm: --mem 1G --nvdimm 512M --nvdimm 256M
# timeout: 900
# Claiming namespaces by parameter and by sysfs, refusing to let go of them in use, giving them back.

# shellcheck source-path=SCRIPTDIR
# shellcheck disable=SC2317 # cases_done calls them
. "$(dirname "$0")/../lib/pmemswap.sh"

need_namespaces 2

claim_by_name()
{
	load_modules claim="$SMALL"
	is_held "$SMALL"
	is_free "$BIG"
	same "device of $SMALL" "$(dev_of "$SMALL")" pmemswap0
	same "device of $BIG" "$(dev_of "$BIG")" ''
	unload pmemswap pmem_tier
	is_free "$SMALL"

	load_modules claim="$SMALL,$BIG"
	is_held "$SMALL"
	is_held "$BIG"
	test -b /dev/pmemswap0 -a -b /dev/pmemswap1
}

claim_all()
{
	load_modules claim=all
	is_held "$SMALL"
	is_held "$BIG"
}

claim_none()
{
	load_modules
	is_free "$BIG"
	is_free "$SMALL"
	same "bind" "$(tier_bind "$BIG")" 0
	is_held "$BIG"
	is_free "$SMALL"
	same "the device that appeared" "$(dev_of "$BIG")" pmemswap0
}

# Loaded first or second, pmemswap finds the namespaces; its going leaves them claimed
frontend_order()
{
	modprobe pmem_tier claim="$BIG"
	is_held "$BIG"
	same "device without pmemswap" "$(dev_of "$BIG")" ''
	modprobe pmemswap
	same "device" "$(dev_of "$BIG")" pmemswap0
	rmmod pmemswap
	is_held "$BIG"
	test ! -e /dev/pmemswap0
	modprobe pmemswap
	same "device" "$(dev_of "$BIG")" pmemswap0
	"$PROGS/blkdata" zeros /dev/pmemswap0 1 100
}

leave_bound_alone()
{
	raw_on "$BIG"
	"$PROGS/blkdata" write "$RAW" 1000 100 5
	log_mark
	load_modules claim=all
	is_held "$SMALL"
	same "driver of $BIG" "$(ns_driver "$BIG")" nd_pmem
	log_has "$BIG.*nd_pmem"
	"$PROGS/blkdata" verify "$RAW" 1000 100 5
	unload pmemswap pmem_tier

	log_mark
	load_modules claim="$BIG"
	same "driver of $BIG" "$(ns_driver "$BIG")" nd_pmem
	log_has "$BIG.*nd_pmem"
	"$PROGS/blkdata" verify "$RAW" 1000 100 5
}

errors()
{
	load_modules claim="$SMALL"
	same "bind what isn't there" "$(tier_bind namespace77.0)" ENODEV
	same "bind what isn't a namespace" "$(tier_bind region0)" ENODEV
	same "bind nonsense" "$(tier_bind ../etc/passwd)" ENODEV
	same "bind what is held" "$(tier_bind "$SMALL")" EBUSY
	same "unbind what isn't there" "$(tier_unbind namespace77.0)" ENODEV
	same "unbind what isn't held" "$(tier_unbind "$BIG")" ENODEV
	raw_on "$BIG"
	same "bind what nd_pmem has" "$(tier_bind "$BIG")" EBUSY
	same "unbind what nd_pmem has" "$(tier_unbind "$BIG")" ENODEV
	same "driver of $BIG" "$(ns_driver "$BIG")" nd_pmem
	same "nd_pmem's bind of what is held" "$(pmem_bind "$SMALL")" EBUSY
	is_held "$SMALL"
}

rebind_loop()
{
	local i uuid total

	load_modules claim=all
	uuid=$(tier_stat "$SMALL" uuid)
	total=$(tier_stat "$SMALL" total_pages)
	for i in {1..10}; do
		same "unbind $i" "$(tier_unbind "$SMALL")" 0
		is_free "$SMALL"
		same "device after unbind $i" "$(dev_of "$SMALL")" ''
		is_held "$BIG"
		same "bind $i" "$(tier_bind "$SMALL")" 0
		is_held "$SMALL"
		same "uuid $i" "$(tier_stat "$SMALL" uuid)" "$uuid"
		same "pages $i" "$(tier_stat "$SMALL" total_pages)" "$total"
		test -b "/dev/$(dev_of "$SMALL")"
	done
}

# To nd_pmem, a filesystem on it, and back
give_back()
{
	need mkfs.ext4 wipefs
	use "$BIG"
	"$PROGS/blkdata" write "/dev/$DEV" 5 200 3 mixed
	same "unbind" "$(tier_unbind "$BIG")" 0
	raw_on "$BIG"

	mkdir -p $MNT
	mkfs.ext4 -q -F "$RAW"
	mount "$RAW" $MNT
	cp -r "$SELFTESTS" $MNT/copy
	umount $MNT
	same "bind while nd_pmem has it" "$(tier_bind "$BIG")" EBUSY
	raw_off "$BIG"
	same "bind a filesystem" "$(tier_bind "$BIG")" EEXIST
	is_free "$BIG"
	raw_on "$BIG"
	mount -o ro "$RAW" $MNT
	diff -r "$SELFTESTS" $MNT/copy
	umount $MNT
	fsck.ext4 -fn "$RAW"

	wipefs -qa "$RAW"
	raw_off "$BIG"
	same "bind after wipefs" "$(tier_bind "$BIG")" 0
	is_held "$BIG"
	swap_on "$(dev_of "$BIG")"
}

busy_open()
{
	local fd

	use "$BIG"
	exec {fd}<"/dev/$DEV"
	same "unbind while open" "$(tier_unbind "$BIG")" EBUSY
	exec {fd}<&-
	exec {fd}<>"/dev/$DEV"
	same "unbind while open for writing" "$(tier_unbind "$BIG")" EBUSY
	is_held "$BIG"
	"$PROGS/blkdata" zeros "/dev/$DEV" 1 10
	fails 'in use|unavailable' rmmod pmemswap
	exec {fd}>&-
	same "unbind after close" "$(tier_unbind "$BIG")" 0
}

busy_swap()
{
	use "$BIG"
	puppet p
	tell p map a 4M nohuge
	tell p fill a 1 mixed
	swap_on "$DEV"
	tell p pageout a
	num "pages that are out" "$(ask p swapped a)" -gt 500
	same "unbind while swap is active" "$(tier_unbind "$BIG")" EBUSY
	is_held "$BIG"
	fails 'in use|unavailable' rmmod pmemswap
	fails 'in use|unavailable' rmmod pmem_tier
	swap_active "$DEV"
	same "deleted devices" "$(count deleted /proc/swaps)" 0
	tell p verify a
	tell p pageout a
	swap_off "$DEV"
	tell p verify a
	same "unbind after swapoff" "$(tier_unbind "$BIG")" 0
	is_free "$BIG"
}

busy_mounted()
{
	need mkfs.ext4
	use "$BIG"
	mkdir -p $MNT
	mkfs.ext4 -q -F "/dev/$DEV" 64M
	mount "/dev/$DEV" $MNT
	same "unbind while mounted" "$(tier_unbind "$BIG")" EBUSY
	echo still works >$MNT/file
	umount $MNT
	mount "/dev/$DEV" $MNT
	same "file" "$(<$MNT/file)" 'still works'
	umount $MNT
	same "unbind" "$(tier_unbind "$BIG")" 0
	same "bind: contents of the device are gone" "$(tier_bind "$BIG")" 0
	"$PROGS/blkdata" zeros "/dev/$(dev_of "$BIG")" 1 10000
}

with_ndctl()
{
	need ndctl
	use "$BIG"
	swap_on "$DEV"
	ndctl disable-namespace "$BIG" || echo "as it must"
	is_held "$BIG"
	swap_active "$DEV"
	swap_off "$DEV"
	ndctl disable-namespace "$BIG"
	is_free "$BIG"
	same "bind" "$(tier_bind "$BIG")" 0
	is_held "$BIG"
}

# The driver core's own ways of taking a device away can't be refused: they wait for swapoff
removal_waits()
{
	local region remover

	unload_nd_pmem
	use "$BIG"
	region=$(region_of "$BIG")
	at_exit _write "$ND/drivers/nd_region/bind" "$region"
	swap_on "$DEV"
	# First of all: while the removal waits, it holds the lock that bind needs
	at_exit eval "swapoff /dev/$DEV 2>/dev/null || :"
	puppet p
	tell p map a 8M nohuge
	tell p fill a 1 mixed
	tell p pageout a
	log_mark
	_write "$ND/drivers/nd_region/unbind" "$region" &
	remover=$!
	loop_until 20 says "$BIG: removal waits"
	# The driver core has taken its links away by now; the tier is still there
	held "$BIG" || fail "$BIG is not held any more"
	swap_active "$DEV"
	tell p verify a
	tell p pageout a
	tell p fill a 2 mixed
	tell p pageout a
	kill -0 $remover
	swap_off "$DEV"
	wait $remover
	tell p verify a
	test ! -e "$ND/devices/$BIG"
	test ! -e "/dev/$DEV"
	! held "$BIG" || fail "$BIG is gone, and $TIER/$BIG is still there"
}

# What claim= names is claimed when it appears
appears_later()
{
	local region

	unload_nd_pmem
	use "$BIG"
	region=$(region_of "$BIG")
	_write "$ND/drivers/nd_region/unbind" "$region"
	at_exit eval "[[ -e $ND/devices/$BIG ]] || _write $ND/drivers/nd_region/bind $region"
	! held "$BIG" || fail "$BIG is gone, and $TIER/$BIG is still there"
	test ! -e "/dev/$DEV"
	_write "$ND/drivers/nd_region/bind" "$region"
	loop_until 10 held "$BIG"
	loop_until 10 has_device "$BIG"
	swap_on "$(dev_of "$BIG")"
}

has_device() { [[ -n $(dev_of "$1") ]]; }

# What the operator or libnvdimm protects isn't written to
read_only()
{
	local region

	region=$(dirname "$(readlink -f "$ND/devices/$BIG")")
	load_modules
	push "$region/read_only" 1
	log_mark
	same "bind" "$(tier_bind "$BIG")" EROFS
	says "$BIG: refused: ${region##*/} is read-only" || fail "the log doesn't say why"
	is_free "$BIG"
	_write "$region/read_only" 0
	same "bind" "$(tier_bind "$BIG")" 0
	is_held "$BIG"
}

says() { log_since | grep -qF "$1"; }

case_ "claim= takes the named namespaces and no other" claim_by_name
case_ "claim=all takes every namespace" claim_all
case_ "without claim= nothing is taken, and bind takes what it is told" claim_none
case_ "pmemswap may come and go while a namespace is held" frontend_order
case_ "a namespace that nd_pmem drives is left alone" leave_bound_alone
case_ "bind and unbind say why they refuse" errors
case_ "unbind and bind again and again" rebind_loop
case_ "nd_pmem gets a namespace back, and pmem_tier again after wipefs" give_back
case_ "no unbind, no rmmod while the device is open" busy_open
case_ "no unbind, no rmmod while swap is active" busy_swap
case_ "no unbind while a filesystem is mounted" busy_mounted
case_ "ndctl disable-namespace gives it back, but not while swap is active" with_ndctl
case_ "a namespace that appears later is claimed then" appears_later
case_ "a read-only region is left alone" read_only
case_ "unbinding the region waits for swapoff" removal_waits
cases_done
