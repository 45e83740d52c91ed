#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# vm: --mem 768M --nvdimm 128M --disk 600M
# timeout: 900
# Eviction is one step for those who look a page up without a lock: what goes while it is evicted is gone.

# shellcheck source-path=SCRIPTDIR
# shellcheck disable=SC2317 # cases_done calls them
. "$(dirname "$0")/../lib/cachex.sh"

need_namespaces 1
need_disk

ROUNDS=${RACE_ROUNDS:-$(fewer 1000)}

# race FS WHAT ROUNDS
race()
{
	fs_on "$1"
	cachex "$(fs_number)"
	("$PROGS/evictrace" "$2" "$MNT/file" "$3")
	num "puts" "$(cx puts)" -gt "$3"
	rm "$MNT/file"
	fs_off
	idle "$BIG"
}

# races FS ROUNDS
races()
{
	case_ "$1: a hole is punched" race "$1" punch "$2"
	case_ "$1: truncated" race "$1" truncate "$2"
	case_ "$1: written directly" race "$1" direct "$2"
}

# With large folios and without
races xfs "$ROUNDS"
races ext4 $((ROUNDS / 10))
cases_done
