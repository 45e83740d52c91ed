#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# vm: --mem 1G --nvdimm 512M --nvdimm 256M
# timeout: 600
# allow-log: Memory failure: |Injecting memory failure|MCE: Killing poison:[0-9]+ due to hardware memory corruption
# A page that fails costs who has it its data, and SIGBUS with the address; nobody else notices.

# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/../lib/mapping.sh"

# fails_in COUNT PROGRAM CASE...: so many pages of the pool are bad afterwards that weren't before, and
# none of them is used again
fails_in()
{
	local before

	before=$(tier_stat "$BIG" bad_pages)
	around 16
	prog "${@:2}"
	nothing_left
	loop_until 5 is $((before + $1)) tier_stat "$BIG" bad_pages
	balanced "$BIG"
}

CHAIN=/tmp/poison-chain

while_moving()
{
	around 16
	prog poison moving 60 20
	nothing_left
	balanced "$BIG"
	num "bad pages" "$(tier_stat "$BIG" bad_pages)" -ge 1
}

# As mapping_device had it
bound()
{
	held "$BIG" || same "bind" "$(tier_bind "$BIG")" 0
	_write "$(ps_attr promote_pages_per_second)" 0
}

# A page failed, swap is off, and processes that fork and end have it until $CHAIN is gone
begin_chain()
{
	around 16
	touch "$CHAIN"
	at_exit bound
	at_exit rm -f "$CHAIN"
	prog poison chain
	swap_off "$DEV"
	loop_until 5 is 0 tier_stat "$BIG" lent_pages
}

# Page tables name the failed page until the last process of the chain is gone.
chained()
{
	local i

	begin_chain
	# Who looks at one number after the other, upwards, may have passed the low ones when they are given again. The
	# puppet is between them and the high ones, and takes a while to be looked at.
	push /proc/sys/kernel/pid_max 400
	until puppet p; i=$(puppet_pid p); (( i >= 330 && i < 370 )); do puppet_end p; done
	tell p map a 128M nohuge
	tell p fill a 1 mixed
	log_mark
	for i in {1..100}; do
		same "unbind $i" "$(tier_unbind "$BIG")" EBUSY
	done
	num "times that a process was found" "$(log_since | grep -c 'in use: process [0-9]* has failed pages')" -ge 100
	rm "$CHAIN"
	puppets_end
	loop_until 5 is 0 tier_unbind "$BIG"
}

# The region goes: that can't be refused, so it waits, whatever becomes of who asked for it
removed()
{
	local region pid rc=0

	region=$(region_of "$BIG")
	begin_chain
	at_exit rebound "$region"
	at_exit rm -f "$CHAIN"
	log_mark
	_write "$ND/drivers/nd_region/unbind" "$region" &
	pid=$!
	loop_until 20 log_has "$BIG: removal waits" >/dev/null
	kill -9 $pid
	log_mark
	loop_until 20 log_has "$BIG: removal waits" >/dev/null
	held "$BIG" || fail "$BIG is gone, and a process has failed pages of it"
	rm "$CHAIN"
	wait $pid || rc=$?
	same "who removed it ends by signal" "$rc" 137
	! held "$BIG" || fail "$BIG is still held"
}

rebound()
{
	[[ -e $ND/devices/$BIG ]] || _write "$ND/drivers/nd_region/bind" "$1"
	cat "$ND"/devices/ndbus*/wait_probe >/dev/null
}

let_go()
{
	kill "$1" 2>/dev/null || :
	wait "$1" || :
}

is_locked() { [[ $(cat /sys/module/pmem_tier_hold/parameters/held) == Y ]] 2>/dev/null; }

# A process may have failed pages, and holds its mmap_lock: nobody waits for it
stuck()
{
	local pid

	around 16
	prog poison late 0
	swap_off "$DEV"
	loop_until 5 is 0 tier_stat "$BIG" lent_pages
	modprobe pmem_tier_hold 2>/dev/null &
	pid=$!
	at_exit bound
	at_exit let_go "$pid"
	loop_until 5 is_locked
	same "unbind" "$(tier_unbind "$BIG")" EBUSY
	same "bind another" "$(tier_bind "$SMALL")" 0
	same "unbind another" "$(tier_unbind "$SMALL")" 0
	let_go "$pid"
	loop_until 5 is 0 tier_unbind "$BIG"
}

modprobe -q hwpoison-inject || skip 'needs the module hwpoison-inject'
at_exit modprobe -r hwpoison-inject
mapping_device
grep -qx 'poison: on.*' "$TIER/features" || skip "this kernel can't: $(<"$TIER/features")"
ktap_plan 21
t 'a process reads its page' fails_in 1 poison own 0 0
t 'a process writes to its page' fails_in 1 poison own 1 0
t 'a process reads its page, which it had changed' fails_in 1 poison own 0 1
t 'found by somebody else, then read' fails_in 1 poison late 0
t 'found by somebody else, then written to' fails_in 1 poison late 1
t 'a process that wants to know early' fails_in 1 poison early 0
t 'a system where all want to know early' fails_in 1 poison early 1
t 'several processes, forked while it was lent' fails_in 1 poison shared 0
t 'several processes, forked while it was swapped out' fails_in 1 poison shared 1
t 'a page that is swapped out, read' fails_in 1 poison raw 0
t 'a page that is swapped out, written to' fails_in 1 poison raw 1
t 'a page that a pipe has as well' fails_in 1 poison pinned 0
t 'a shared page that a pipe has as well' fails_in 1 poison pinned 1
t 'an mlocked page' fails_in 1 poison locked
t 'a page without a slot, after swapoff' fails_in 1 poison orphan
t 'a page that is nobody'\''s' fails_in 1 poison free
t 'pages fail while they are moving' while_moving
t 'a process that has one forks and ends, on and on' chained
t 'a process may have one, and is stuck' stuck
t 'the region goes while a process has one, and who removes it is killed' removed
t 'the modules can go' unload pmemswap pmem_tier
