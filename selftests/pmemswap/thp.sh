#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# vm: --mem 1G --nvdimm 512M --nvdimm 256M
# timeout: 900
# Huge pages go out whole: multi-page I/O.

# shellcheck source-path=SCRIPTDIR
# shellcheck disable=SC2317 # cases_done calls them
. "$(dirname "$0")/../lib/pmemswap.sh"

need_namespaces 1

MM=/sys/kernel/mm/transparent_hugepage
[[ -e $MM/enabled ]] || skip "needs transparent huge pages"

choice() { sed 's/.*\[\(.*\)\].*/\1/' "$1"; }

# As push, for files that show their choice in brackets
choose()
{
	at_exit _write "$1" "$(choice "$1")"
	echo "$2" >"$1"
}

pmd()
{
	local before i

	use "$BIG"
	choose $MM/enabled always
	swap_on "$DEV"
	puppet p
	tell p map a 64M huge
	tell p fill a 1 "$1"
	tell p huge a
	(( REPLY > 0 )) || skip "the kernel found no huge page"
	echo "$REPLY KiB of huge pages"
	before=$(vmstat_of thp_swpout)
	for i in 1 2 3; do
		tell p pageout a
		num "pages that are out" "$(ask p swapped a)" -gt 16000
		tell p verify a
		tell p zap a
		tell p fill a $((i + 1)) "$1"
	done
	[[ $1 == random ]] || return 0
	num "huge pages swapped out whole" $(( $(vmstat_of thp_swpout) - before )) -ge 8
}

pressure()
{
	local before

	use "$BIG"
	choose $MM/enabled always
	swap_on "$DEV"
	before=$(vmstat_of thp_swpout)
	squeezed t 64M
	cg_run "$CG" "$PROGS/hog" --size 192M --huge --threads 2 --random --fork 1
	echo "huge pages swapped out whole: $(( $(vmstat_of thp_swpout) - before ))"
	num "pages written" "$(stat_of "$DEV" written_pages)" -gt 20000
}

# Smaller ones, which are also read whole from memory-fast swap
multi_size()
{
	local dir=$MM/hugepages-$1kB before

	[[ -e $dir/stats/swpout ]] || skip "needs mTHP statistics"
	use "$BIG"
	choose $MM/enabled never
	choose "$dir/enabled" always
	swap_on "$DEV"
	before=$(<"$dir/stats/swpout")
	puppet p
	tell p map a 32M
	tell p fill a 1 random
	tell p pageout a
	num "pages that are out" "$(ask p swapped a)" -gt 8000
	num "folios of $1 KiB swapped out" $(( $(<"$dir/stats/swpout") - before )) -ge 100
	tell p verify a
	tell p fill a 2 mixed
	tell p pageout a
	tell p verify a
	# In pieces: parts of what went out as a whole
	tell p pageout a
	tell p zap a 7 1
	tell p zap a 100 30
	tell p verify a
}

case_ "2 MiB pages" pmd random
case_ "2 MiB pages of all kinds of pages" pmd mixed
case_ "2 MiB pages under pressure" pressure
case_ "64 KiB folios" multi_size 64
case_ "16 KiB folios" multi_size 16
cases_done
