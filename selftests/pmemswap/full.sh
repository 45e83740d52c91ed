#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# vm: --mem 1G --nvdimm 512M --nvdimm 256M
# timeout: 900
# Devices and pools that are full: the next device takes over, or the writer is told at once.

# shellcheck source-path=SCRIPTDIR
# shellcheck disable=SC2317 # cases_done calls them
. "$(dirname "$0")/../lib/pmemswap.sh"

need_namespaces 1

write() { "$PROGS/blkdata" write "/dev/$DEV" "$@"; }
verify() { "$PROGS/blkdata" verify "/dev/$DEV" "$@"; }

# pair SIZE: swap devices of both namespaces; FIRST, of $SMALL, has SIZE and goes first
pair()
{
	[[ -n $SMALL ]] || skip "needs 2 namespaces"
	load_modules claim="$SMALL" "size=$1"
	same "bind" "$(tier_bind "$BIG")" 0
	FIRST=$(dev_of "$SMALL") SECOND=$(dev_of "$BIG")
	same "slots of the first" "$(stat_of "$FIRST" slots_total)" $(( ${1%M} * 256 ))
	swap_on "$FIRST" -p 10
	swap_on "$SECOND" -p 5
}

second_device()
{
	pair 32M
	squeezed t 48M
	cg_run "$CG" "$PROGS/hog" --size 160M --threads 2 --random --fork 1
	same "kills" "$(cg_event "$CG" oom_kill)" 0
	num "pages written to the first" "$(stat_of "$FIRST" written_pages)" -gt 7000
	num "pages written to the second" "$(stat_of "$SECOND" written_pages)" -gt 7000
	same "failed writes" "$(stat_of "$FIRST" failed_write_full_pages)" 0
}

# No other: what doesn't fit is killed, in its cgroup, and nobody else notices
alone()
{
	local rc=0

	use "$BIG" size=32M
	swap_on "$DEV"
	puppet bystander
	tell bystander map a 8M nohuge
	tell bystander fill a 1 mixed
	tell bystander pageout a
	limited t 48M
	{ cg_run "$CG" "$PROGS/hog" --size 160M || rc=$?; } 2>/dev/null
	same "status of the hog" $rc 137
	num "kills" "$(cg_event "$CG" oom_kill)" -ge 1
	num "slots in use" "$(stat_of "$DEV" slots_used)" -le $(( 2048 + $(slot_cache) ))
	tell bystander verify a
	same "failed writes" "$(stat_of "$DEV" failed_write_full_pages)" 0
	# and it still works
	limited t2 24M
	cg_run "$CG" "$PROGS/hog" --size 40M --random
}

# A cgroup's share of swap is kept
swap_max()
{
	local rc=0

	use "$BIG"
	swap_on "$DEV"
	limited t 32M 16M
	{ cg_run "$CG" "$PROGS/hog" --size 96M || rc=$?; } 2>/dev/null
	same "status of the hog" $rc 137
	num "most that was in use at once" "$(<"$CG/memory.swap.peak")" -le $((16 << 20))
	cg_run "$CG" "$PROGS/hog" --size 40M --random
}

# More slots than pages: writes fail at once when the pool is dry, and what is there stays
dry_device()
{
	local pool

	use "$SMALL" size=512M
	DEV=$(dev_of "$SMALL")
	pool=$(tier_stat "$SMALL" total_pages)
	same "pages that fit" "$("$PROGS/blkdata" fill "/dev/$DEV" 0 131072 1)" "$pool ENOSPC"
	same "free_pages" "$(tier_stat "$SMALL" free_pages)" 0
	same "raw_slots" "$(stat_of "$DEV" raw_slots)" "$pool"
	num "failed_write_full_pages" "$(stat_of "$DEV" failed_write_full_pages)" -ge 1
	same "one more" "$(write 100000 1 1 || :)" "errno ENOSPC at 100000"
	"$PROGS/blkdata" zeros "/dev/$DEV" 100000 1

	# What has a page keeps it, and same-filled data needs none
	write 1000 1000 2
	write 100000 1000 3 same
	verify 0 1000 1
	verify 1000 1000 2
	verify 2000 $((pool - 2000)) 1
	verify 100000 1000 3 same
	same "one more" "$(write 110000 1 1 || :)" "errno ENOSPC at 110000"

	# What is freed can be had again
	discard_blocks "$DEV" 5000 500
	same "pages that fit" "$("$PROGS/blkdata" fill "/dev/$DEV" 120000 1000 4)" "500 ENOSPC"
	verify 120000 500 4
	write 0 300 5 same
	same "pages that fit" "$("$PROGS/blkdata" fill "/dev/$DEV" 125000 1000 4)" "300 ENOSPC"
	balanced "$SMALL"
	empty "$DEV"
}

# Most aren't written at all: the kernel is told that there are no slots. Kernels where that can't be done
# have their writes refused.
next_device() { grep -q '^next_device: on' $TIER/features; }

# dry_swap HUGE FAILURES: the same under swap: pages that find no room stay in memory, unharmed
dry_swap()
{
	local failed

	use "$SMALL" size=512M
	swap_on "$DEV"
	puppet first
	tell first map a 240M
	tell first fill a 1 random
	tell first pageout a
	puppet second
	tell second map a 64M "$1"
	tell second fill a 2 random
	tell second pageout a
	failed=$(stat_of "$DEV" failed_write_full_pages)
	if next_device; then
		num "free_pages" "$(tier_stat "$SMALL" free_pages)" -le $(( 2 * $(slot_cache) ))
		num "refused_allocations" "$(stat_of "$DEV" refused_allocations)" -gt 0
		num "failed_write_full_pages" "$failed" -le $(( 4 * $(slot_cache) ))
	else
		same "free_pages" "$(tier_stat "$SMALL" free_pages)" 0
		num "failed_write_full_pages" "$failed" -gt "$2"
	fi
	tell second verify a
	tell first verify a
	tell second pageout a
	tell first pageout a
	tell first fill a 3 random 0 10000
	tell first pageout a
	tell second verify a
	tell first verify a

	# With room again, the rest goes out too
	puppet_end first
	num "pages in use" "$(tier_stat "$SMALL" swap_pages)" -le $(( 16384 + $(slot_cache) ))
	tell second fill a 4 random
	tell second pageout a
	num "pages that are out" "$(ask second swapped a)" -gt 16000
	tell second verify a
}

# Dry, with another device: no write is lost, whichever takes it
dry_pair()
{
	pair 512M
	limited t 64M
	puppet first
	tell first map a 240M
	tell first fill a 1 random
	tell first pageout a
	puppet second "$CG"
	tell second map a 48M nohuge
	tell second fill a 2 random
	tell second pageout a
	tell second verify a
	tell second fill a 3 mixed
	tell second pageout a
	echo "first: $(stat_of "$FIRST" failed_write_full_pages) writes refused," \
		"$(stat_of "$FIRST" refused_allocations) searches;" \
		"second: $(stat_of "$SECOND" written_pages) pages written"
	! next_device || num "pages that the second got" "$(stat_of "$SECOND" written_pages)" -gt 5000
	tell second verify a
	tell first verify a
	same "kills" "$(cg_event "$CG" oom_kill)" 0
}

refused() { stat_of "$1" refused_allocations; }

# Two that have no page left, of one priority: who looks for slots isn't sent round for ever. When the one
# that says that it is full goes, the other one says so; and with two priorities both do, and a third device is
# found.
dry_both()
{
	local a b before

	[[ -n $SMALL ]] || skip "needs 2 namespaces"
	load_modules claim=all size=1G,1G
	FIRST=$(dev_of "$SMALL") SECOND=$(dev_of "$BIG")
	make_dry
	swap_on "$FIRST" -p 5
	swap_on "$SECOND" -p 5
	puppet p
	tell p map a 16M nohuge
	tell p fill a 1 random
	tell p pageout a
	tell p verify a
	if next_device; then
		a=$FIRST b=$SECOND
		(( $(refused "$a") >= $(refused "$b") )) || a=$SECOND b=$FIRST
		num "searches that $a refused" "$(refused "$a")" -gt 0
		swap_off "$a"
		before=$(refused "$b")
		tell p pageout a
		num "searches that $b refused" "$(refused "$b")" -gt "$before"
		third_device "$a" "$b"
	fi
	tell p verify a
	puppet_end p
	for a in $(tail -n +2 /proc/swaps | cut -d' ' -f1); do
		swapoff "$a"
	done
	empty "$FIRST"
	empty "$SECOND"
}

# What swap has freed is written to again
make_dry()
{
	"$PROGS/blkdata" write "/dev/$FIRST" 1 "$(tier_stat "$SMALL" total_pages)" 1
	"$PROGS/blkdata" write "/dev/$SECOND" 1 "$(tier_stat "$BIG" total_pages)" 1
}

# third_device A B: A has a high priority now, B a lower one, and zram the lowest
third_device()
{
	local written

	modprobe -q zram || return 0
	at_exit modprobe -r zram
	echo 64M >/sys/block/zram0/disksize
	at_exit _write /sys/block/zram0/reset 1
	at_exit swap_off_zram
	mkswap /dev/zram0 >/dev/null
	# What has a slot keeps it, so it's begun anew
	tell p zap a
	swap_off "$2"
	make_dry
	swap_on "$1" -p 10
	swap_on "$2" -p 5
	swap_on zram0 -p 1
	written=$(( $(stat_of "$1" failed_write_full_pages) + $(stat_of "$2" failed_write_full_pages) ))
	tell p fill a 2 random
	loop_until 20 third_has 3000
	written=$(( $(stat_of "$1" failed_write_full_pages) + $(stat_of "$2" failed_write_full_pages) -
		written ))
	num "writes that failed meanwhile" $written -le $(( 4 * $(slot_cache) ))
}

third_has()
{
	tell p pageout a
	(( $(swap_used_kib zram0) >= $1 * 4 ))
}

swap_off_zram() { ! swap_active zram0 || swap_off zram0; }

case_ "a small device and a second one" second_device
case_ "a small device alone: the hog is killed, the others don't notice" alone
case_ "memory.swap.max" swap_max
case_ "a pool that runs dry, on the device" dry_device
case_ "a pool that runs dry, under swap" dry_swap nohuge 1000
case_ "a pool that runs dry, under swap, huge pages" dry_swap huge 0
case_ "a pool that runs dry, and a second device" dry_pair
case_ "two pools that ran dry" dry_both
cases_done
