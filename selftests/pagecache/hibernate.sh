#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# vm: --mem 768M --nvdimm 128M --disk 600M --disk 800M
# timeout: 600
# An image of the system has no pmem: pages of the page cache go before it is made, or it isn't.

# shellcheck source-path=SCRIPTDIR
# shellcheck disable=SC2317 # cases_done calls them
. "$(dirname "$0")/../lib/cachex.sh"

need_namespaces 1
need_disk

with_file()
{
	fs_on ext4
	cachex "$(fs_number)"
	file_in_pmem
	num "pages in pmem" "$(cx stored_pages)" -ge $((PAGES * 9 / 10))
	"$@"
	cmp "$FILE" "$REF"
	rm "$FILE"
	fs_check
	idle "$BIG"
}

on_ext4()
{
	hibernate_trial
	with_file "$@"
}

# The pages go, and others can come afterwards
there_and_back()
{
	local puts

	# what the way to the freezer evicts would be taken behind it
	_write $CX/admission off
	_write /sys/power/state disk
	same "pages in pmem" "$(cx stored_pages)" 0
	same "enabled" "$(cx enabled)" 1
	_write $CX/admission all
	puts=$(cx puts)
	evict
	num "puts" "$(cx puts)" -ge $((puts + PAGES * 9 / 10))
}

pages_dropped()
{
	there_and_back
	# It stays off when it was
	_write $CX/enabled 0
	_write /sys/power/state disk
	same "enabled" "$(cx enabled)" 0
}

pages_held()
{
	hold pipe 8 16
	same "holder" "$HELD" held
	log_mark
	same "hibernation" "$(writing /sys/power/state disk)" EBUSY
	log_has 'pmem_cachex: no hibernation: pages of the page cache in pmem are in use'
	same "enabled" "$(cx enabled)" 1
	num "pages in pmem" "$(cx stored_pages)" -ge 16
	let_go
	_write /sys/power/state disk
}

# The module is gone, and they aren't
pages_left()
{
	hold pipe 8 16
	same "holder" "$HELD" held
	modprobe -r pmem_cachex
	log_mark
	same "hibernation" "$(writing /sys/power/state disk)" EBUSY
	log_has "pmem_tier: $BIG: no hibernation: 16 pages are in use"
	let_go
	truncate -s 0 "$FILE"
	idle "$BIG"
	_write /sys/power/state disk
	cp "$REF" "$FILE"
}

SEEN=/tmp/seen		# what runs beside has come across what it is there for

# beside CMD: hibernation, and CMD at the same time. It is dropped before processes are frozen, with much to sync in
# between. Sets BESIDE, the pid.
beside()
{
	rm -f $SEEN
	at_exit rm -f $SEEN
	"$1" &
	BESIDE=$!
	dd if=/dev/zero of="$MNT/dirty" bs=1M count=64 status=none
	_write /sys/power/state disk
	rm "$MNT/dirty"
}

enable_all_the_time()
{
	trap - EXIT ERR
	while :; do
		[[ $(writing $CX/enabled 1) == 0 ]] || : >$SEEN
	done
}

# Whoever enables it meanwhile is refused
enabled_meanwhile()
{
	beside enable_all_the_time
	kill -9 $BESIDE
	wait $BESIDE 2>/dev/null || :
	[[ -e $SEEN ]] || fail 'nobody was refused'
	same "enabled" "$(cx enabled)" 1
}

# When hibernation has turned it off
off_again()
{
	trap - EXIT ERR
	loop_until 60 is 0 cx enabled
	_write $CX/enabled 0
	: >$SEEN
}

# Whoever turns it off meanwhile has it off
disabled_meanwhile()
{
	beside off_again
	wait $BESIDE
	[[ -e $SEEN ]] || fail 'nobody turned it off'
	same "enabled" "$(cx enabled)" 0
}

swaps_off() { swapoff -a; }

# All the way: an image is written to a disk, and restored. Nothing in pmem is part of it.
image()
{
	local disk=${PMEMSWAP_DISKS#* } was dev

	disk=${disk%% *}
	grep -qw test_resume /sys/power/disk || skip "this kernel can't restore an image that it has just made"
	was=$(grep -o '\[.*\]' /sys/power/disk)
	modprobe pmemswap
	at_exit rmmod pmemswap
	dev=$(dev_of "$BIG")
	mkswap -q "$disk"
	swapon "$disk"
	at_exit swaps_off
	_write /sys/power/disk test_resume
	at_exit _write /sys/power/disk "${was//[][]/}"
	there_and_back
	swaps_off
	swap_on "$dev"
	puppet_out p 8M 1800
	tell p verify a
	puppets_end
	swap_off "$dev"
}

case_ 'pages are dropped' on_ext4 pages_dropped
case_ 'pages are held' on_ext4 pages_held
case_ 'pages outlive the module' on_ext4 pages_left
case_ 'nobody turns it on meanwhile' on_ext4 enabled_meanwhile
case_ 'somebody turns it off meanwhile' on_ext4 disabled_meanwhile
case_ 'an image is made and restored' with_file image
cases_done
