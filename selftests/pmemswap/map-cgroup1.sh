#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# vm: --mem 1G --nvdimm 512M --nvdimm 256M --append psi=0
# timeout: 600
# Mapping on page-in in a cgroup of version 1: who is limited to so much memory and swap together can't
# have more, and nothing stays charged.
#
# In a guest of its own, by an option that nobody else has: what is left of cgroups of version 2, where
# memory.swap is the counter that is memsw in version 1, makes the kernel warn when that goes below 0.

# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/../lib/mapping.sh"

MAX=$((12 << 20))
BOTH=$((24 << 20))
ROOT=/tmp/cgroup1
TALLY=/tmp/tally

# The controller goes to the hierarchy that is mounted, if no cgroup of the other one uses it
version_1()
{
	mkdir -p $ROOT
	echo -memory >"$CG_ROOT/cgroup.subtree_control"
	mount -t cgroup -o memory cgroup $ROOT 2>/dev/null ||
		skip 'needs CONFIG_MEMCG_V1, and a memory controller that version 2 can spare'
	at_exit _version_2
	[[ -e $ROOT/memory.memsw.limit_in_bytes ]] || skip 'needs CONFIG_MEMCG_V1'
}

_version_2()
{
	umount $ROOT
	rmdir $ROOT
	loop_until 10 grep -qw memory "$CG_ROOT/cgroup.controllers"
}

value() { cat "$CG/memory.$1"; }

set_up()
{
	around 16
	CG=$ROOT/ktap
	mkdir "$CG"
	at_exit _remove
	echo $MAX >"$CG/memory.limit_in_bytes"
	echo $BOTH >"$CG/memory.memsw.limit_in_bytes"
}

_remove()
{
	[[ -d $CG ]] || return 0
	loop_until 20 _emptied
	rmdir "$CG"
}

_emptied()
{
	xargs -r kill -9 <"$CG/cgroup.procs" 2>/dev/null
	[[ -z $(<"$CG/cgroup.procs") ]]
}

# Nobody is left: neither is what they had
nothing_charged()
{
	nothing_left
	loop_until 20 free_of_charge || fail "$(grep -H . "$CG"/memory.*usage_in_bytes)"
	rmdir "$CG"
}

free_of_charge()
{
	echo 0 >"$CG/memory.force_empty"
	(( $(value memsw.usage_in_bytes) <= $(value kmem.usage_in_bytes) ))
}

charged()
{
	local lent

	set_up
	puppet p "$CG"
	tell p map a 8M nohuge
	tell p fill a 1 random
	paged_out p a 2048
	tell p verify a
	lent=$(( $(stat_of "$DEV" lent_pages) * 4096 ))
	same 'lent_pages' "$lent" $((8 << 20))
	num 'memory.memsw.usage_in_bytes' "$(value memsw.usage_in_bytes)" -ge $lent
	num 'memory.usage_in_bytes' "$(value usage_in_bytes)" -lt $((4 << 20))
	_write "$(ps_attr drain)" 1
	num 'memory.usage_in_bytes' "$(value usage_in_bytes)" -ge $lent
	num 'memory.memsw.usage_in_bytes' "$(value memsw.usage_in_bytes)" -ge $lent
	tell p verify a
	nothing_charged
}

# climbs FLAG...: it takes more and more until it is killed
climbs()
{
	local rc=0 had

	set_up
	head -c 4096 /dev/zero >$TALLY
	at_exit rm $TALLY
	cg_run "$CG" "$PROGS/climber" "$@" $TALLY || rc=$?
	had=$(od -A n -t u8 -j 8 -N 8 $TALLY | tr -d ' ')
	echo "it had $had pages of $((BOTH / 4096))"
	same 'status' $rc 137
	num 'what it had' $((had * 4096)) -le $BOTH
	num 'what it had' $((had * 4096)) -gt $((BOTH / 2))
	num 'memory.max_usage_in_bytes' "$(value max_usage_in_bytes)" -le $MAX
	num 'memory.memsw.max_usage_in_bytes' "$(value memsw.max_usage_in_bytes)" -le $BOTH
	nothing_charged
}

version_1
mapping_device
ktap_plan 4
t 'charged as memory and swap together' charged
t 'it writes, pages out and reads back' climbs -o
t '... and drains' climbs -o -d
t '... with pins' climbs -o -d -p
