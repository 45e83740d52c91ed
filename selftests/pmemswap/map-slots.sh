#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# vm: --mem 1G --nvdimm 512M --nvdimm 256M
# timeout: 600
# Mapping on page-in among pages that can't be mapped: zeros, pages of one value, what zswap has, and
# shared memory. Nothing comes in that is older than what went out last.

# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/../lib/mapping.sh"

SEED=$RANDOM
ZSWAP=/sys/module/zswap/parameters/enabled

rewritten() { in_c "$1" slots rewrite 128 12 "$SEED" 0; }

# zswap may be left on by a program that fails
with_zswap()
{
	local before

	[[ -w $ZSWAP ]] || skip 'needs CONFIG_ZSWAP'
	before=$(vmstat_of zswpout)
	push $ZSWAP N
	in_c "$1" slots rewrite 128 16 "$SEED" 1
	num "pages that zswap took" $(( $(vmstat_of zswpout) - before )) -gt 0
}

# It writes back what is more than the cgroup may have there
with_writeback()
{
	local before

	[[ -w $ZSWAP ]] || skip 'needs CONFIG_ZSWAP'
	before=$(vmstat_of zswpwb)
	push $ZSWAP N
	around 16
	cg_new slots
	[[ -w $CG/memory.zswap.max ]] || skip 'no memory.zswap.max'
	echo 4K >"$CG/memory.zswap.max"
	RECLAIM=$CG/memory.reclaim prog_in "$CG" slots rewrite 768 4 "$SEED" 1
	nothing_left
	num "pages that zswap wrote back" $(( $(vmstat_of zswpwb) - before )) -gt 0
}

echo "# seed $SEED"
mapping_device
ktap_plan 10
t 'slots rewritten, one page a fault' rewritten 1
t 'slots rewritten, 16 around' rewritten 16
t 'slots rewritten, zswap now and then, one page a fault' with_zswap 1
t 'slots rewritten, zswap now and then, 16 around' with_zswap 16
t 'slots rewritten, and zswap writes back' with_writeback
t 'shared memory that two processes write to' in_c 16 shared fork
t 'shared memory by read() and write()' in_c 16 shared read
t 'shared memory with holes' in_c 16 shared cut
t 'shared memory and swapoff' in_c 16 shared swapoff
t 'shared memory that nobody maps' in_c 16 shared unmapped
