#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# vm: --mem 1G --nvdimm 512M --nvdimm 256M
# timeout: 600
# KSM with mapping on page-in: merged pages that are swapped out come back to each of those that share
# them, and what one of them writes is its own.

# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/../lib/mapping.sh"

KSM=/sys/kernel/mm/ksm
PAGES=256

[[ -w $KSM/run ]] || skip 'needs CONFIG_KSM'

ksm() { cat "$KSM/$1"; }

# set_up [PUPPET]...: each has the same data in its region a
set_up()
{
	local name

	around 16
	cg_new ksm
	for name; do
		puppet "$name" "$CG"
		tell "$name" map a 1M nohuge
		tell "$name" fill a 1 random
	done
}

# Scans; what it has merged is parted again in the end
scan()
{
	push $KSM/sleep_millisecs 1
	push $KSM/pages_to_scan 5000
	[[ ! -e $KSM/smart_scan ]] || push $KSM/smart_scan 0
	at_exit _write $KSM/run 0
	at_exit _write $KSM/run 2
	_write $KSM/run 1
}

merged() { (( $(ksm pages_sharing) == $1 )); }
scanned() { (( $(ksm full_scans) >= $1 )); }

# merge PUPPET...: three regions of the same data become one
merge()
{
	local name

	set_up "$@"
	for name; do
		tell "$name" merge a
	done
	scan
	loop_until 60 merged $(( ($# - 1) * PAGES ))
	_write $KSM/run 0
}

# By the cgroup's reclaim: MADV_PAGEOUT leaves shared pages alone
is_out()
{
	local name

	{ echo 4M >"$CG/memory.reclaim"; } 2>/dev/null || :
	for name; do
		tell "$name" swapped a
		(( REPLY == PAGES )) || return 1
	done
}

out() { loop_until 60 is_out "$@"; }

# Each of them must find its own
verify()
{
	local name

	for name; do
		tell "$name" verify a
	done
}

# Whoever has them, all pages can move to DRAM
drained()
{
	same "drain" "$(writing "$(ps_attr drain)" 1)" 0
	same "lent_pages" "$(stat_of "$DEV" lent_pages)" 0
}

read_first()
{
	merge p q r
	out p q r
	verify p q r
	tell p fill a 2 random
	verify p q r
	tell q fill a 3 random 0 128
	verify p q r
	tell r fill a 4 random 64 128
	verify p q r
	drained
	verify p q r
	nothing_left
}

written_first()
{
	merge p q r
	out p q r
	tell p fill a 2 random
	tell q fill a 3 random 0 128
	verify r q p
	tell r fill a 4 random
	verify r q p
	drained
	verify p q r
	nothing_left
}

# What the others' end leaves is one's own
others_gone()
{
	merge p q r
	out p q r
	tell q fill a 2 random 0 16
	puppet_end q
	puppet_end r
	verify p
	num "pages lent" "$(stat_of "$DEV" lent_pages)" -gt 0
	tell p fill a 5 random 100 50
	verify p
	drained
	verify p
	nothing_left
}

# A process and its child, and one that has nothing to do with them
forked()
{
	merge p q
	out p q
	tell p forkhold a
	verify q p
	tell p fill a 2 random 0 200
	verify q p
	drained
	tell q fill a 3 random 100 100
	tell p forkend a
	verify p q
	nothing_left
}

# unmerged HOW: parted while they are out
unmerged()
{
	merge p q r
	out p q r
	if [[ $1 == all ]]; then
		_write $KSM/run 2
	else
		tell p unmerge a
	fi
	verify p q r
	tell p fill a 2 random
	verify q r p
	tell q fill a 3 random
	verify p r q
	nothing_left
}

off()
{
	merge p q r
	out p q r
	swap_off "$DEV"
	verify p q r
	tell p fill a 2 random
	verify q r p
	drained
	verify p q r
	nothing_left
}

# Lent pages aren't merged, whatever they hold
scanned_while_lent()
{
	set_up p q
	for name in p q; do
		paged_out "$name" a $PAGES
		tell "$name" verify a
		tell "$name" merge a
	done
	same "lent_pages" "$(stat_of "$DEV" lent_pages)" $((2 * PAGES))
	puppet r "$CG"
	tell r map a 1M nohuge
	tell r fill a 1 random
	tell r merge a
	scan
	loop_until 60 scanned $(( $(ksm full_scans) + 4 ))
	same "lent_pages" "$(stat_of "$DEV" lent_pages)" $((2 * PAGES))
	same "pages_sharing" "$(ksm pages_sharing)" 0
	tell p fill a 2 random 0 100
	verify p q r
	# In DRAM they are
	drained
	loop_until 60 merged $((2 * PAGES - 100))
	verify p q r
	tell q fill a 3 random
	verify p q r
	nothing_left
}

# Merged, paged out, mapped in and written to all the time
all_at_once()
{
	local i name

	set_up p q r
	for name in p q r; do
		tell "$name" merge a
	done
	scan
	for i in {1..6}; do
		{ echo 4M >"$CG/memory.reclaim"; } 2>/dev/null || :
		verify p q r
		tell p fill a "$i" random $((i * 20)) 60
		tell q fill a "$i" random $((i * 20 + 10)) 60
		verify r q p
		(( i % 2 )) || drained
	done
	nothing_left
}

mapping_device
ktap_plan 9
t 'merged pages, read first' read_first
t 'merged pages, written first' written_first
t 'the others are gone' others_gone
t 'shared with a child and with a stranger' forked
t 'MADV_UNMERGEABLE while swapped out' unmerged one
t 'unmerged while swapped out' unmerged all
t 'swapoff of merged pages' off
t 'lent pages are not merged' scanned_while_lent
t 'scanned all the time' all_at_once
