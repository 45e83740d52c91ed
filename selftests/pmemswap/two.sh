#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# vm: --mem 1G --nvdimm 512M --nvdimm 256M
# timeout: 900
# Two namespaces, two devices, side by side.

# shellcheck source-path=SCRIPTDIR
# shellcheck disable=SC2317 # cases_done calls them
. "$(dirname "$0")/../lib/pmemswap.sh"

need_namespaces 2

written() { stat_of "$1" written_pages; }

striped()
{
	local a b

	load_modules claim=all
	swap_on pmemswap0 -p 7
	swap_on pmemswap1 -p 7
	squeezed t 48M
	cg_run "$CG" "$PROGS/hog" --size 128M --no-huge --threads 3 --random --fork 1
	a=$(written pmemswap0) b=$(written pmemswap1)
	echo "pages written: $a and $b"
	num "pages written to the one" "$a" -gt $((b / 3))
	num "pages written to the other" "$b" -gt $((a / 3))
	swap_off pmemswap0
	swap_off pmemswap1
	idle "$BIG"
	idle "$SMALL"
}

# Each counts for itself
apart()
{
	local one two

	load_modules claim=all
	one=$(dev_of "$BIG") two=$(dev_of "$SMALL")
	"$PROGS/blkdata" write "/dev/$one" 0 5000 1
	same "pages written to the other" "$(written "$two")" 0
	pool_idle "$SMALL"
	"$PROGS/blkdata" write "/dev/$two" 0 5000 2
	"$PROGS/blkdata" verify "/dev/$one" 0 5000 1
	"$PROGS/blkdata" verify "/dev/$two" 0 5000 2
	same "pages in use" "$(tier_stat "$BIG" swap_pages) $(tier_stat "$SMALL" swap_pages)" \
		"5000 5000"
	empty "$one"
	idle "$BIG"
	"$PROGS/blkdata" verify "/dev/$two" 0 5000 2
	empty "$two"
}

# One goes and comes while the other holds a process' data
one_goes()
{
	local i one

	load_modules claim=all
	one=$(dev_of "$BIG")
	swap_on "$one" -p 1
	puppet p
	tell p map a 32M
	tell p fill a 1 mixed
	tell p pageout a
	for i in 1 2 3; do
		swap_on "$(dev_of "$SMALL")" -p 10
		tell p fill a $((i + 1)) mixed 0 4000
		tell p pageout a 0 4000
		num "pages in use of the small one" "$(tier_stat "$SMALL" swap_pages)" -gt 1000
		same "unbind while it is used" "$(tier_unbind "$SMALL")" EBUSY
		swap_off "$(dev_of "$SMALL")"
		idle "$SMALL"
		same "unbind" "$(tier_unbind "$SMALL")" 0
		is_free "$SMALL"
		swap_active "$one"
		tell p verify a
		tell p pageout a
		same "bind" "$(tier_bind "$SMALL")" 0
	done
	tell p verify a
}

# Data moves from one to the other when the first is switched off
moves_over()
{
	local one two

	load_modules claim=all
	one=$(dev_of "$BIG") two=$(dev_of "$SMALL")
	swap_on "$one" -p 10
	limited t 32M
	puppet p "$CG"
	tell p map a 128M nohuge
	tell p fill a 1 mixed
	swap_on "$two" -p 5
	swap_off "$one"
	idle "$BIG"
	num "pages in use of the second" "$(tier_stat "$SMALL" swap_pages)" -gt 10000
	same "unbind" "$(tier_unbind "$BIG")" 0
	tell p verify a
	same "kills" "$(cg_event "$CG" oom_kill)" 0
}

case_ "same priority: both are used" striped
case_ "data and counters of one are not those of the other" apart
case_ "one is unbound while the other is in use" one_goes
case_ "swapoff of one moves its data to the other" moves_over
cases_done
