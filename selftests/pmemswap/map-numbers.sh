#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# vm: --mem 1G --nvdimm 512M --nvdimm 256M
# timeout: 600
# What /proc, free and the cgroup say of memory while it is swapped out, lent, shared, drained and gone.

# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/../lib/mapping.sh"

KIB=8192
PAGES=$((KIB / 4))

# about WHAT GOT WANTED TOLERANCE
about()
{
	(( $2 >= $3 - $4 && $2 <= $3 + $4 )) || fail "$1 is $2, not about $3"
}

# of PID FIELD: KiB in /proc/PID/status
of() { awk -v k="$2:" '$1 == k { print $2 }' "/proc/$1/status"; }

# rollup PID FIELD: KiB of all of its memory
rollup() { awk -v k="$2:" '$1 == k { print $2 }' "/proc/$1/smaps_rollup"; }

# region PID FIELD: KiB of the VMA that is the region
region()
{
	awk -v k="$2:" -v size=$KIB '
		$1 == "Size:" { is = $2 == size }
		is && $1 == k { n += $2 }
		END { print n + 0 }' "/proc/$1/smaps"
}

# What CPUs hold back of slots, when they allocate and when they free
slack() { echo $(( 2 * 4 * $(slot_cache) )); }

declare -A at

# What the machine has now, in KiB
remember()
{
	at[anon]=$(meminfo AnonPages)
	at[swapfree]=$(meminfo SwapFree)
	at[used]=$(swap_used_kib "$DEV")
	at[pswpin]=$(vmstat_of pswpin)
}

# machine ANON USED: more than it had, in KiB
machine()
{
	sane
	about 'AnonPages' "$(meminfo AnonPages)" $((at[anon] + $1)) 1500
	about 'SwapFree' "$(meminfo SwapFree)" $((at[swapfree] - $2)) "$(slack)"
	about 'used in /proc/swaps' "$(swap_used_kib "$DEV")" $((at[used] + $2)) "$(slack)"
}

# Nothing has run below 0, and free can be believed
sane()
{
	local file bad

	for file in /proc/meminfo /proc/vmstat "$CG/memory.stat"; do
		bad=$(awk '$2 < 0 || $2 > 2^50' "$file")
		[[ -z $bad ]] || fail "in $file: $bad"
	done
	bad=$(free -k -w | awk 'NR > 1 { for (i = 3; i <= NF; i++) if ($i < 0 || $i > $2) print }')
	[[ -z $bad ]] || fail "free: $bad"
	bad=$(free -k | awk '$1 == "Swap:" && $2 != $3 + $4')
	[[ -z $bad ]] || fail "free: $bad"
}

# process PID RSS SWAP: of its region, in KiB
process()
{
	same 'Rss' "$(region "$1" Rss)" "$2"
	same 'Anonymous' "$(region "$1" Anonymous)" "$2"
	same 'Swap' "$(region "$1" Swap)" "$3"
	about 'VmSwap' "$(of "$1" VmSwap)" "$3" 512
	about 'RssAnon' "$(of "$1" RssAnon)" "$2" 1024
	same 'Rss of smaps_rollup' "$(rollup "$1" Rss)" "$(awk '$1 == "Rss:" { n += $2 } END { print n }' "/proc/$1/smaps")"
	num 'VmRSS' "$(of "$1" VmRSS)" -ge "$2"
	num 'statm' $(( $(awk '{ print $2 }' "/proc/$1/statm") * 4 )) -ge "$2"
}

# cgroup MEMORY SWAP: in KiB, at least and at most a little more
cgroup()
{
	about 'memory.current' $(( $(<"$CG/memory.current") >> 10 )) $(($1 + 1024)) 1024
	about 'memory.swap.current' $(( $(<"$CG/memory.swap.current") >> 10 )) $(($2 + 256)) 256
}

set_up()
{
	around 16
	cg_new numbers
	remember
	puppet p "$CG"
	P=$(puppet_pid p)
	tell p map a ${KIB}K nohuge
	tell p fill a 1 random
	process "$P" $KIB 0
	machine $KIB 0
	cgroup $KIB 0
	paged_out p a $PAGES
	process "$P" 0 $KIB
	machine 0 $KIB
	cgroup 0 $KIB
	same 'SwapPss' "$(region "$P" SwapPss)" $KIB
}

# All of it
lend()
{
	tell p verify a
	same 'lent_pages' "$(stat_of "$DEV" lent_pages)" $PAGES
}

# They are gone: everything is as it was
gone()
{
	puppets_end
	loop_until 10 lent_are 0
	machine 0 0
	cgroup 0 0
	about 'anon of the cgroup' "$(awk '$1 == "anon" { print $2 }' "$CG/memory.stat")" 0 0
	nothing_left
}

lent_are() { (( $(stat_of "$DEV" lent_pages) == $1 )); }

lent()
{
	local free

	set_up
	free=$(meminfo MemFree)
	lend
	process "$P" $KIB 0
	machine $KIB $KIB
	cgroup 0 $KIB
	same 'Pss' "$(region "$P" Pss)" $KIB
	num 'DRAM that it took' $((free - $(meminfo MemFree))) -lt $((KIB / 4))
	num 'pswpin' "$(vmstat_of pswpin)" -ge $((at[pswpin] + PAGES))
	tell p fill a 2 random
	process "$P" $KIB 0
	machine $KIB $KIB
	cgroup 0 $KIB
	same 'Private_Dirty' "$(region "$P" Private_Dirty)" $KIB
	gone
}

half()
{
	set_up
	tell p fill a 2 random 0 $((PAGES / 2))
	process "$P" $((KIB / 2)) $((KIB / 2))
	machine $((KIB / 2)) $KIB
	cgroup 0 $KIB
	tell p zap a 0 $((PAGES / 4))
	process "$P" $((KIB / 4)) $((KIB / 2))
	loop_until 10 lent_are $((PAGES / 4))
	machine $((KIB / 4)) $((KIB * 3 / 4))
	cgroup 0 $((KIB * 3 / 4))
	tell p verify a
	gone
}

drained()
{
	set_up
	lend
	_write "$(ps_attr drain)" 1
	process "$P" $KIB 0
	machine $KIB 0
	cgroup $KIB 0
	paged_out p a $PAGES
	process "$P" 0 $KIB
	machine 0 $KIB
	lend
	process "$P" $KIB 0
	machine $KIB $KIB
	gone
}

# A child has the same pages; one that has written its own
forked()
{
	local child

	set_up
	lend
	tell p forkhold a
	child=$REPLY
	process "$P" $KIB 0
	process "$child" $KIB 0
	machine $KIB $KIB
	about 'Pss' "$(region "$P" Pss)" $((KIB / 2)) 64
	about 'Pss of the child' "$(region "$child" Pss)" $((KIB / 2)) 64
	tell p fill a 2 random
	machine $((KIB * 2)) $KIB
	process "$P" $KIB 0
	process "$child" $KIB 0
	about 'Pss of the child' "$(region "$child" Pss)" $KIB 64
	cgroup $KIB $KIB
	tell p forkend a
	loop_until 10 lent_are 0
	machine $KIB 0
	cgroup $KIB 0
	gone
}

# The child inherits it swapped out; who maps and who copies isn't the point
forked_out()
{
	local child

	set_up
	tell p forkhold a
	child=$REPLY
	process "$P" 0 $KIB
	process "$child" 0 $KIB
	machine 0 $KIB
	about 'SwapPss' "$(region "$P" SwapPss)" $((KIB / 2)) 64
	tell p verify a
	process "$P" $KIB 0
	process "$child" 0 $KIB
	sane
	tell p fill a 2 random
	process "$P" $KIB 0
	process "$child" 0 $KIB
	sane
	tell p forkend a
	tell p verify a
	gone
}

off()
{
	set_up
	lend
	remember
	swap_off "$DEV"
	process "$P" $KIB 0
	same 'SwapTotal' "$(meminfo SwapTotal)" 0
	same 'SwapFree' "$(meminfo SwapFree)" 0
	about 'AnonPages' "$(meminfo AnonPages)" "${at[anon]}" 1500
	same 'memory.swap.current' "$(<"$CG/memory.swap.current")" 0
	sane
	tell p verify a
	puppets_end
	loop_until 10 pool_idle "$BIG"
	about 'AnonPages' "$(meminfo AnonPages)" $((at[anon] - KIB)) 1500
	sane
	swap_on "$DEV"
	sane
	nothing_left
}

mapping_device
need free
ktap_plan 6
t 'lent, and written to' lent
t 'half of it lent, and discarded' half
t 'drained, and paged out again' drained
t 'shared with a child while lent' forked
t 'shared with a child while swapped out' forked_out
t 'after swapoff' off
