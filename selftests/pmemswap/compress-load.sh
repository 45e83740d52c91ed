#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# vm: --mem 1G --nvdimm 512M --nvdimm 256M
# timeout: 600
# Everything is compressed as soon as it is out: tests about data, and what is mapped, don't notice.

# shellcheck source-path=SCRIPTDIR
# shellcheck disable=SC2317 # cases_done calls them
. "$(dirname "$0")/../lib/pmemswap.sh"

need_namespaces 1
export TEST_COMPRESS=1

# Another test, shorter than by itself
torture()
{
	local rc=0

	TORTURE_OPS=200 "$SELFTESTS/pmemswap/torture.sh" || rc=$?
	(( rc != 4 )) || skip 'pmemswap/torture.sh can'\''t run'
	return $rc
}

# What can be compressed and what can't, mapped where it can be. One thread: the other CPU is for compression, which
# gives way to whoever wants it.
hog()
{
	use "$BIG"
	[[ $(writing "/sys/block/$DEV/pmemswap/map_faults" all) == 0 ]] || skip 'this kernel has no page-in by mapping'
	swap_on "$DEV"
	squeezed t 48M
	cg_run "$CG" "$PROGS/hog" --size 96M --random "$@"
	same "kills" "$(cg_event "$CG" oom_kill)" 0
	num "pages mapped" "$(stat_of "$DEV" mapped_in_pages)" -gt 0
}

text()
{
	hog --text --same 5 --zero 5
	num "decompressed_in_pages" "$(stat_of "$DEV" decompressed_in_pages)" -gt 100
}

case_ 'all that can be done to memory' torture
case_ 'a hog, text' text
case_ "a hog, data that doesn't get smaller" hog --fork 1
cases_done
