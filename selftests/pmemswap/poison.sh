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
	loop_until 5 is_bad $((before + $1))
	balanced "$BIG"
}

is_bad() { [[ $(tier_stat "$BIG" bad_pages) == "$1" ]]; }

while_moving()
{
	around 16
	prog poison moving 60 20
	nothing_left
	balanced "$BIG"
	num "bad pages" "$(tier_stat "$BIG" bad_pages)" -ge 1
}

modprobe -q hwpoison-inject || skip 'needs the module hwpoison-inject'
at_exit modprobe -r hwpoison-inject
mapping_device
grep -qx 'poison: on.*' "$TIER/features" || skip "this kernel can't: $(<"$TIER/features")"
ktap_plan 18
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
t 'the modules can go' unload pmemswap pmem_tier
