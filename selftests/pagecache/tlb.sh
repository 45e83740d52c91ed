#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# vm: --mem 768M --cpus 4 --nvdimm 128M --disk 600M
# timeout: 600
# Reclaim flushes TLBs some time after it has unmapped a page. Nobody may write to the page that took its place before.

# shellcheck source-path=SCRIPTDIR
# shellcheck disable=SC2317 # cases_done calls them
. "$(dirname "$0")/../lib/cachex.sh"

need_namespaces 1
need_disk

# stored ARG...: was the page in pmem, in any of the rounds? It isn't evicted when it is read just then.
stored()
{
	local rounds

	rounds=$(LENT_PFNS=$(ns_pfns "$BIG") "$PROGS/filestale" "$MNT/file" "$(fewer 200 100)" "$@") || fail "$rounds"
	rm "$MNT/file"
	echo "in pmem in $rounds rounds"
	(( rounds ))
}

# stale FS ARG...: nobody reads what isn't there any more
stale()
{
	fs_on "$1"
	cachex "$(fs_number)"
	loop_until 200 stored "${@:2}"
	fs_off
	idle "$BIG"
}

# changes TARGET: what may be stored becomes more, again and again. Each wait for that is one for nothing
# to be stored; to set the targets that are set is one while it is.
changes()
{
	while echo off >$CX/admission && echo all >$CX/admission &&
	      echo "$1" >$CX/targets && echo "$1" >$CX/targets &&
	      echo >$CX/targets && echo "$1" >$CX/targets &&
	      echo "$1" >$CX/targets && echo "$1" >$CX/targets; do
		:
	done
}

# the same, while that which may be stored changes
stale_changes()
{
	local pid

	fs_on "$1"
	cachex "$(fs_number)"
	changes "$(fs_number)" &
	pid=$!
	at_exit eval "kill $pid 2>/dev/null || :"
	loop_until 200 stored
	# it goes on
	kill $pid
	wait $pid || :
	fs_off
	idle "$BIG"
}

case_ 'ext4: written while others read' stale ext4
case_ 'xfs: written while others read' stale xfs
case_ 'xfs: large folios' stale xfs large
case_ 'ext4: while that which is stored changes' stale_changes ext4
cases_done
