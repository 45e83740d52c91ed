#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# vm: --mem 1G --nvdimm 512M --nvdimm 256M
# timeout: 900
# allow-log: Memory failure: |Injecting memory failure
# Cold slots are compressed: the data is right, it is dense, it makes room, and nobody who touches a slot
# meanwhile notices. The seed of what is random is printed; COMPRESS_SEED=N repeats it.

# shellcheck source-path=SCRIPTDIR
# shellcheck disable=SC2317 # cases_done calls them
. "$(dirname "$0")/../lib/pmemswap.sh"

need_namespaces 1

declare -a model=()

SEED=${COMPRESS_SEED:-$RANDOM}
RANDOM=$SEED

ps_attr() { echo "/sys/block/$DEV/pmemswap/$1"; }
write() { "$PROGS/blkdata" write "/dev/$DEV" "$@"; }
verify() { "$PROGS/blkdata" verify "/dev/$DEV" "$@"; }
compress_now() { _write "$(ps_attr compress_now)" 1; }

# In the background, at once, as much as it can
compress_all()
{
	_write "$(ps_attr cold_age_ms)" 0
	_write "$(ps_attr compress_cpu_percent)" 100
	_write "$(ps_attr compress)" "${1:-always}"
}

# counts RAW SAME COMPRESSED: slots of each kind; the pool agrees
counts()
{
	same "raw_slots" "$(stat_of "$DEV" raw_slots)" "$1"
	same "same_filled_slots" "$(stat_of "$DEV" same_filled_slots)" "$2"
	same "compressed_slots" "$(stat_of "$DEV" compressed_slots)" "$3"
	same "slots_used" "$(stat_of "$DEV" slots_used)" $(($1 + $2 + $3))
	same "swap_pages" "$(tier_stat "$BIG" swap_pages)" \
		$(( $1 + $(stat_of "$DEV" packed_pages) ))
	balanced "$BIG"
}

# dense PERCENT: the pages are so little more than what is in them
dense()
{
	local bytes pages

	bytes=$(stat_of "$DEV" compressed_bytes) pages=$(stat_of "$DEV" packed_pages)
	echo "$(stat_of "$DEV" compressed_slots) slots, $bytes bytes in $pages pages:" \
		"$(( pages * 4096000 / bytes )) per mille"
	num "packed bytes" $(( pages * 4096 )) -le $(( bytes * (100 + $1) / 100 + 4096 ))
}

# Text, programs, and whatever else is at hand
some_files()
{
	tar -C / -cf - etc payload/selftests payload/docs usr/bin usr/lib 2>/dev/null | head -c 24M
}

real_data()
{
	local n

	use "$BIG"
	some_files >/tmp/data
	at_exit rm -f /tmp/data
	n=$(( $(stat -c %s /tmp/data) / 4096 ))
	dd if=/tmp/data of="/dev/$DEV" bs=4096 seek=1 count="$n" oflag=direct status=none
	write 50000 2000 1 random
	write 60000 2000 1 almost
	write 70000 2000 1 same
	write 80000 500 1 zero
	compress_now
	num "compressed_slots" "$(stat_of "$DEV" compressed_slots)" -gt $(( n / 2 ))
	num "incompressible_slots" "$(stat_of "$DEV" incompressible_slots)" -ge 2000
	same "compress_lost_slots" "$(stat_of "$DEV" compress_lost_slots)" 0
	dense 6
	cmp -n $(( n * 4096 )) /tmp/data <(dd if="/dev/$DEV" bs=4096 skip=1 count="$n" iflag=direct status=none)
	verify 50000 2000 1 random
	verify 60000 2000 1 almost
	verify 70000 2000 1 same
	verify 80000 500 1 zero
	num "decompressed_in_pages" "$(stat_of "$DEV" decompressed_in_pages)" -gt $(( n / 2 ))
	counts "$(stat_of "$DEV" raw_slots)" "$(stat_of "$DEV" same_filled_slots)" \
		"$(stat_of "$DEV" compressed_slots)"
	empty "$DEV"
	counts 0 0 0
}

# What a slot holds changes its kind
kinds()
{
	use "$BIG"
	write 1 1000 1 text
	write 1001 100 1 random
	counts 1100 0 0
	compress_now
	counts 100 0 1000
	same "incompressible_slots" "$(stat_of "$DEV" incompressible_slots)" 100
	# Over a compressed slot, and what was not worth it is forgotten
	write 1 100 2 text
	write 101 100 2 same
	write 201 100 2 random
	write 1001 50 2 text
	discard_blocks "$DEV" 301 100
	counts 300 100 600
	same "incompressible_slots" "$(stat_of "$DEV" incompressible_slots)" 50
	verify 1 100 2 text
	compress_now
	counts 150 100 750
	verify 1 100 2 text
	verify 101 100 2 same
	verify 201 100 2 random
	verify 301 100 2 zero
	verify 401 600 1 text
	verify 1001 50 2 text
	verify 1051 50 1 random
	empty "$DEV"
	counts 0 0 0
}

# set_range FIRST COUNT VALUE: of the model
set_range()
{
	local i

	for (( i = $1; i < $1 + $2; i++ )); do
		model[i]=$3
	done
}

# Every run of slots alike
check_model()
{
	local i first=0 kinds=(zero text)

	for (( i = 1; i <= ${#model[@]}; i++ )); do
		[[ ${model[i]:-none} != "${model[first]}" ]] || continue
		verify $first $(( i - first )) 1 "${kinds[model[first]]}"
		first=$i
	done
}

# What is freed here and there is made use of, for as long as there is anything to win
churn()
{
	local i first n

	use "$BIG"
	_write "$(ps_attr compress_level)" 1
	write 0 12000 1 text
	set_range 0 12000 1
	compress_now
	for i in {1..40}; do
		first=$(( RANDOM % 11000 )) n=$(( 1 + RANDOM % 900 ))
		discard_blocks "$DEV" $first $n
		set_range $first $n 0
		first=$(( RANDOM % 11000 )) n=$(( 1 + RANDOM % 600 ))
		write $first $n 1 text
		set_range $first $n 1
		(( i % 4 )) || compress_now
	done
	dense 10
	model[0]=1
	write 0 1 1 text
	check_model
	# Little of it is left, far apart
	for (( i = 0; i < 12000; i += 100 )); do
		discard_blocks "$DEV" $(( i + 10 )) 90
		set_range $(( i + 10 )) 90 0
	done
	compress_now
	dense 10
	check_model
	empty "$DEV"
	counts 0 0 0
}

# out_again PAGES: what is lent can't be paged out
out_again()
{
	_write "$(ps_attr drain)" 1
	paged_out p a "$1"
}

# As swap: a compressed slot comes in by copying, its neighbours by mapping
swapped()
{
	local packed n

	use "$BIG"
	[[ $1 == off ]] || [[ $(writing "$(ps_attr map_faults)" "$1") == 0 ]] ||
		skip 'this kernel has no page-in by mapping'
	push /proc/sys/vm/page-cluster 0
	swap_on "$DEV"
	puppet p
	tell p map a 16M nohuge
	tell p fill a 1 text 0 2048
	tell p fill a 1 random 2048 2048
	paged_out p a 4090
	compress_now
	packed=$(stat_of "$DEV" compressed_slots)
	num "compressed_slots" "$packed" -ge 2000
	tell p verify a
	num "decompressed_in_pages" "$(stat_of "$DEV" decompressed_in_pages)" -ge 2000
	if [[ $1 == all ]]; then
		num "fallback_packed" "$(stat_of "$DEV" fallback_packed)" -ge 2000
		num "pages mapped" $(( $(stat_of "$DEV" mapped_in_pages) +
			$(stat_of "$DEV" mapped_around_pages) )) -ge 2000
	fi
	tell p fill a 2 text
	out_again 4090
	compress_now
	tell p forkcow a 2
	out_again 4000
	compress_now
	tell p forkhold a
	tell p fill a 3 text
	out_again 4000
	compress_now
	n=$(stat_of "$DEV" compressed_slots)
	num "compressed_slots" "$n" -ge 3500
	swap_off "$DEV"
	same "compressed_slots" "$(stat_of "$DEV" compressed_slots)" 0
	tell p forkend a
	tell p verify a
}

# A page that was written to where it was mapped
unlent()
{
	use "$BIG"
	[[ $(writing "$(ps_attr map_faults)" all) == 0 ]] || skip 'this kernel has no page-in by mapping'
	_write "$(ps_attr promote_pages_per_second)" 0
	swap_on "$DEV"
	puppet p
	tell p map a 8M nohuge
	tell p fill a 1 random
	paged_out p a 2040
	tell p verify a
	num "lent_pages" "$(stat_of "$DEV" lent_pages)" -ge 2000
	# Not while it is lent
	compress_now
	same "compressed_slots" "$(stat_of "$DEV" compressed_slots)" 0
	tell p fill a 2 text 0 1024
	tell p fill a 2 same 1024 512
	num "lent_pages" "$(stat_of "$DEV" lent_pages)" -ge 2000
	_write "$(ps_attr unlend)" 1
	compress_now
	num "compressed_slots" "$(stat_of "$DEV" compressed_slots)" -ge 1000
	num "same_filled_slots" "$(stat_of "$DEV" same_filled_slots)" -ge 500
	tell p verify a
}

# Sets DEV, a device with more slots than there are pages, and pool, the number of those
larger_than_pool()
{
	[[ -n $SMALL ]] || skip "needs 2 namespaces"
	use "$SMALL" size=512M
	DEV=$(dev_of "$SMALL")
	pool=$(tier_stat "$SMALL" total_pages)
}

# A pool without a free page gets some
dry()
{
	local pool first

	larger_than_pool
	write 0 8000 1 text
	same "pages that fit" "$("$PROGS/blkdata" fill "/dev/$DEV" 8000 131072 1)" "$(( pool - 8000 )) ENOSPC"
	same "free_pages" "$(tier_stat "$SMALL" free_pages)" 0
	compress_now
	same "compressed_slots" "$(stat_of "$DEV" compressed_slots)" 8000
	num "free_pages" "$(tier_stat "$SMALL" free_pages)" -ge 4000
	verify 0 8000 1 text
	# In the background, with a writer that is faster: who is told so tries again
	compress_all cold
	first=100000
	while (( first < 112000 )); do
		write $first 500 1 text || continue
		first=$(( first + 500 ))
	done
	verify 0 8000 1 text
	verify 100000 12000 1 text
	verify 8000 $(( pool - 8000 )) 1 random
	num "slots_used" "$(stat_of "$DEV" slots_used)" -ge $(( pool + 12000 ))
	balanced "$SMALL"
	empty "$DEV"
}

# A pool without a page, and nothing is old enough: what there is has to do
young()
{
	local pool

	larger_than_pool
	_write "$(ps_attr compress_level)" 1
	_write "$(ps_attr compress_cpu_percent)" 100
	_write "$(ps_attr cold_age_ms)" 3600000
	_write "$(ps_attr compress)" cold
	write 0 $(( pool / 2 )) 1 text
	"$PROGS/blkdata" fill "/dev/$DEV" $(( pool / 2 )) 131072 1 >/dev/null
	loop_until 120 wrote 100000 500
	num "compressed_slots" "$(stat_of "$DEV" compressed_slots)" -gt 0
	verify 0 $(( pool / 2 )) 1 text
	verify 100000 500 1 random
	empty "$DEV"
}

wrote() { write "$1" "$2" 1 random >/dev/null; }

# Objects are freed here and there, which frees hardly a page, and there is no other: they are won back all the
# same, also when nothing is compressed any more
gaps()
{
	local pool i

	larger_than_pool
	_write "$(ps_attr compress_level)" 1
	write 0 2000 1 text
	compress_now
	same "compress" "$(stat_of "$DEV" compress)" off
	at=2000
	fill
	for (( i = 0; i < 2000; i += 5 )); do
		discard_blocks "$DEV" $(( i + 1 )) 4
	done
	packed=$(stat_of "$DEV" packed_pages)
	loop_until 60 cleaned "$pool"
	for (( i = 0; i < 2000; i += 5 )); do
		verify "$i" 1 1 text
	done
	verify 2000 $(( at - 2000 )) 1 random
	balanced "$SMALL"
	empty "$DEV"
}

# What is free is written to, up to slot "at"
fill()
{
	local n

	read -r n _ < <("$PROGS/blkdata" -b 1 fill "/dev/$DEV" "$at" 131072 1)
	at=$(( at + n ))
}

# cleaned POOL: half of the packed pages have come back, and there are more slots in use than pages
cleaned()
{
	fill
	(( $(stat_of "$DEV" packed_pages) < packed / 2 && $(stat_of "$DEV" slots_used) > $1 ))
}

# out PUPPET PAGES: tries again to page out region a; true when so many are out
out()
{
	tell "$1" pageout a
	tell "$1" swapped a
	(( REPLY >= $2 ))
}

# The same as swap: more is swapped out than there is pmem
overcommitted()
{
	[[ -n $SMALL ]] || skip "needs 2 namespaces"
	use "$SMALL" size=512M
	compress_all cold
	_write "$(ps_attr compress_level)" 1
	swap_on "$DEV"
	puppet first
	tell first map a 208M nohuge
	tell first fill a 1 random
	loop_until 60 out first 53000
	puppet second
	tell second map a 96M nohuge
	tell second fill a 1 text
	loop_until 200 out second 24000
	num "slots_used" "$(stat_of "$DEV" slots_used)" -gt $(( $(tier_stat "$SMALL" total_pages) + 5000 ))
	echo "$(stat_of "$DEV" failed_write_full_pages) writes and" \
		"$(stat_of "$DEV" refused_allocations) searches refused"
	tell second verify a
	tell first verify a
	balanced "$SMALL"
}

# slot_line INDEX: its line in block_state
slot_line() { awk -v i="$1" '$1 == i' "$STATE"; }

block_state()
{
	mountpoint -q /sys/kernel/debug || mount -t debugfs debugfs /sys/kernel/debug
	STATE=/sys/kernel/debug/pmemswap/$DEV/block_state
	[[ -e $STATE ]] || skip "no debugfs"
}

states()
{
	use "$BIG"
	block_state
	write 1 10 1 text
	write 11 10 1 random
	write 21 10 1 same
	same "lines" "$(wc -l <"$STATE")" 30
	same "states" "$(awk '{ print $3 }' "$STATE" | sort | uniq -c | xargs)" "20 r.. 10 s.."
	compress_now
	same "states" "$(awk '{ print $3 }' "$STATE" | sort | uniq -c | xargs)" "10 c.. 10 r.h 10 s.."
	same "bytes" "$(awk '$3 == "r.h" { print $4 }' "$STATE" | uniq)" 4096
	! grep -E 'ffff[0-9a-f]{12}' "$STATE" || fail "an address of the kernel's"
	empty "$DEV"
	same "lines" "$(wc -l <"$STATE")" 0
}

# damage INDEX [BYTE]: flips a bit of its object
damage()
{
	local line pfn at

	read -r -a line <<<"$(slot_line "$1")"
	same "state of $1" "${line[2]}" 'c..'
	pfn=${line[4]} at=$(( line[5] + ${2:-20} ))
	(( at < 4096 )) || at=$(( line[5] ))
	modprobe pmem_tier_damage at=$(( pfn * 4096 + at ))
	modprobe -r pmem_tier_damage
}

damaged_device()
{
	local i packed

	modinfo pmem_tier_damage >/dev/null || skip "needs the modules in selftests/modules"
	use "$BIG"
	block_state
	write 0 3000 1 text
	compress_now
	log_mark
	damage 100
	damage 200 1	# its checksum
	damage 300 5	# whose it is
	damage 400 8	# how long it is
	same "survey" "$("$PROGS/blkdata" survey "/dev/$DEV" 0 3000 1 text)" "2996 4 0 100 200 300 400"
	num "failed_read_damaged_pages" "$(stat_of "$DEV" failed_read_damaged_pages)" -ge 4
	log_has 'slot 100: its compressed data in page [0-9]+ of the pool is damaged'
	# Others move, it stays as it is
	discard_blocks "$DEV" 1 99
	discard_blocks "$DEV" 700 2300
	for i in {401..699..2}; do
		discard_blocks "$DEV" "$i" 1
	done
	packed=$(stat_of "$DEV" packed_pages)
	compress_now
	num "packed_pages, cleaned" "$(stat_of "$DEV" packed_pages)" -lt $(( packed * 9 / 10 ))
	same "survey" "$("$PROGS/blkdata" survey "/dev/$DEV" 100 301 1 text)" "297 4 0 100 200 300 400"
	for i in {402..698..2}; do
		verify "$i" 1 1 text
	done
	# Written again it is as good as any
	write 100 1 1 text
	write 200 1 1 text
	discard_blocks "$DEV" 300 1
	write 400 1 1 random
	compress_now
	verify 100 200 1 text
	verify 301 99 1 text
	empty "$DEV"
	counts 0 0 0
}

damaged_swap()
{
	local i

	modinfo pmem_tier_damage >/dev/null || skip "needs the modules in selftests/modules"
	use "$BIG"
	block_state
	push /proc/sys/vm/page-cluster 0
	swap_on "$DEV"
	puppet p
	tell p map a 8M nohuge
	tell p fill a 1 text
	paged_out p a 2048
	compress_now
	num "compressed_slots" "$(stat_of "$DEV" compressed_slots)" -ge 2040
	while read -r i; do
		damage "$i"
	done < <(awk '$3 == "c.." { print $1 }' "$STATE" | sed -n '100p;200p;300p')
	same "survey" "$(ask p survey a)" "2045 3 0"
	tell p zap a
	tell p fill a 2 text
	tell p verify a
}

# A page fails whose data was to be compressed: that slot stays as it is
bad_raw()
{
	local line

	modprobe -q hwpoison-inject || skip 'needs the module hwpoison-inject'
	at_exit modprobe -r hwpoison-inject
	use "$BIG"
	block_state
	write 1 100 1 text
	read -r -a line <<<"$(slot_line 50)"
	same "state" "${line[2]}" 'r..'
	same "corrupt-pfn" "$(writing "$CORRUPT" "${line[4]}")" EHWPOISON
	compress_now
	counts 1 0 99
	same "incompressible_slots" "$(stat_of "$DEV" incompressible_slots)" 1
	same "survey" "$("$PROGS/blkdata" survey "/dev/$DEV" 1 100 1 text || :)" "99 1 0 50"
	same "bad_pages, in use" "$(tier_stat "$BIG" bad_pages)" 0
	write 50 1 1 text
	same "bad_pages" "$(tier_stat "$BIG" bad_pages)" 1
	compress_now
	counts 0 0 100
	verify 1 100 1 text
	empty "$DEV"
	counts 0 0 0
}

# The namespace is to be given back, which is refused after a while: who compresses meanwhile doesn't notice
refused_unbind()
{
	use "$BIG"
	[[ $(writing "$(ps_attr map_faults)" all) == 0 ]] || skip 'this kernel has no page-in by mapping'
	_write "$(ps_attr promote_pages_per_second)" 0
	swap_on "$DEV"
	puppet_out p 1M 250
	tell p verify a
	tell p pin a 3 5
	swap_off "$DEV"
	write 1 8000 1 text
	writing "$(ps_attr compress_now)" 1 >/tmp/answer &
	at_exit rm -f /tmp/answer
	loop_until 30 is_compressed 10
	same "unbind" "$(tier_unbind "$BIG")" EBUSY
	wait $!
	same "compress_now" "$(</tmp/answer)" 0
	same "compressed_slots" "$(stat_of "$DEV" compressed_slots)" 8000
	verify 1 8000 1 text
	empty "$DEV"
	tell p unpin a
	tell p verify a
}

# Only what is old enough, and in mode "cold" only when the pool is low
is_compressed() { (( $(stat_of "$DEV" compressed_slots) >= $1 )); }
passed() { (( $(stat_of "$DEV" compress_cpu_ms) > $1 )); }

# How often the thread has gone to sleep: it has looked at all there was
sleeps()
{
	local p

	for p in /proc/[0-9]*; do
		[[ $(cat "$p/comm" 2>/dev/null) != "${DEV}_comp" ]] || awk '$1 ~ /^voluntary/ { print $2 }' "$p/status"
	done
}

slept() { (( $(sleeps) >= $1 )); }

# Something happens, and the thread has had its chance
looked()
{
	local before

	before=$(sleeps)
	_write "$(ps_attr cold_age_ms)" "$(stat_of "$DEV" cold_age_ms)"
	loop_until 30 slept $(( before + 2 ))
}

modes()
{
	local ms before

	use "$BIG"
	write 1 500 1 text
	compress_all cold
	_write "$(ps_attr compress_level)" 1
	looked
	same "compressed_slots, pool not low" "$(stat_of "$DEV" compressed_slots)" 0
	_write "$(ps_attr cold_age_ms)" 3600000
	_write "$(ps_attr compress)" always
	write 501 500 1 text
	looked
	same "compressed_slots, too young" "$(stat_of "$DEV" compressed_slots)" 0
	ms=$(stat_of "$DEV" compress_cpu_ms)
	_write "$(ps_attr cold_age_ms)" 0
	loop_until 30 is_compressed 1000
	loop_until 30 passed "$ms"
	_write "$(ps_attr compress)" off
	write 2000 100 1 text
	before=$(sleeps)
	_write "$(ps_attr cold_age_ms)" 0
	loop_until 30 slept $(( before + 1 ))
	same "compressed_slots, off" "$(stat_of "$DEV" compressed_slots)" 1000
	verify 1 500 1 text
	verify 501 500 1 text
	empty "$DEV"
}

# It may take less than its part, when others want the CPU, but not more
cpu_bound()
{
	local start ms used before

	use "$BIG"
	_write "$(ps_attr compress_level)" 19
	write 1 4000 1 text
	_write "$(ps_attr compress_cpu_percent)" 10
	_write "$(ps_attr cold_age_ms)" 0
	_write "$(ps_attr compress)" always
	# From after one batch, whose pause follows, to after another
	loop_until 60 passed 0
	start=${EPOCHREALTIME/[^0-9]/} before=$(stat_of "$DEV" compress_cpu_ms)
	loop_until 60 passed $(( before + 300 ))
	ms=$(( (${EPOCHREALTIME/[^0-9]/} - start) / 1000 ))
	used=$(( $(stat_of "$DEV" compress_cpu_ms) - before ))
	echo "$used ms of CPU time in $ms ms"
	num "percent" $(( used * 100 / ms )) -le 12
	empty "$DEV"
}

# A trial of suspend stops the thread, and who wrote to compress_now, in the middle of it
frozen()
{
	local test=/sys/power/pm_test

	grep -qw freeze /sys/power/state || skip 'no suspend in this kernel'
	[[ -w $test ]] || skip 'this kernel has no trial of suspend'
	_write $test freezer
	at_exit _write $test none
	use "$BIG"
	_write "$(ps_attr compress_level)" 19
	write 1 3000 1 text
	compress_all
	loop_until 20 is_compressed 10
	(compress_now) &
	same "suspend" "$(writing /sys/power/state freeze)" 0
	num "raw_slots" "$(stat_of "$DEV" raw_slots)" -gt 0
	wait $! || fail "compress_now: status $?"
	loop_until 60 is_compressed 3000
	verify 1 3000 1 text
	empty "$DEV"
}

values()
{
	local v f

	use "$BIG"
	for v in '' on cold_ 1; do
		refuses "$(ps_attr compress)" "$v"
	done
	for v in 0 20 -200000 x ''; do
		refuses "$(ps_attr compress_level)" "$v"
	done
	for v in -1 14400001 x; do
		refuses "$(ps_attr cold_age_ms)" "$v"
	done
	for v in 0 101 x; do
		refuses "$(ps_attr compress_cpu_percent)" "$v"
	done
	refuses "$(ps_attr compress_now)" 2
	write 1 50 1 text
	for v in -131072 -1 1 19; do
		_write "$(ps_attr compress_level)" $v
		same "compress_level" "$(stat_of "$DEV" compress_level)" $v
		compress_now
		verify 1 50 1 text
		write 1 50 1 text
	done
	f=$(stat_of "$DEV" compress)
	same "compress" "$f" off
	empty "$DEV"
}

# ---- Races: all that can be done to memory, while all of it is compressed as soon as it is out ----

torture() { exec "$PROGS/torture" --text --seed "$SEED" --ops "$(fewer 800 200)" "$@"; }

torture_device()
{
	use "$BIG"
	push /proc/sys/vm/page-cluster 0
	[[ $1 == off || $(writing "$(ps_attr map_faults)" "$1") == 0 ]] ||
		skip 'this kernel has no page-in by mapping'
	compress_at_once "/sys/block/$DEV/pmemswap"
	# Slow, so that much can happen meanwhile
	_write "$(ps_attr compress_level)" 19
	swap_on "$DEV"
}

# tortured MODE [CMD...]: it does that again and again meanwhile
tortured()
{
	local pid

	torture_device "$1"
	torture --threads 3 &
	pid=$!
	while (( $# > 1 )) && kill -0 $pid 2>/dev/null; do
		"${@:2}"
	done
	wait $pid || fail "torture: status $?"
	echo "lost $(stat_of "$DEV" compress_lost_slots)," \
		"decompressed $(stat_of "$DEV" decompressed_in_pages)"
	num "decompressed_in_pages" "$(stat_of "$DEV" decompressed_in_pages)" -gt 0
	! swap_active "$DEV" || swap_off "$DEV"
	idle "$BIG"
}

other_settings()
{
	local levels=(-100 -5 1 3 9) modes=(off cold always always)

	_write "$(ps_attr compress_level)" "${levels[RANDOM % 5]}"
	_write "$(ps_attr compress)" "${modes[RANDOM % 4]}"
	_write "$(ps_attr compress_cpu_percent)" $(( 1 + RANDOM % 100 ))
	compress_now
}

# Enough for some to be compressed in between
swap_off_and_on()
{
	swap_off "$DEV"
	swap_on "$DEV"
	until is_compressed 50 || ! kill -0 "$pid" 2>/dev/null; do
		:
	done
}

unlend() { _write "$(ps_attr unlend)" 1; }

# The device itself: blocks are rewritten, read and discarded while they are compressed
rewritten()
{
	local i

	use "$BIG"
	compress_all
	_write "$(ps_attr compress_level)" 1
	write 1 2000 1 text
	for i in {1..60}; do
		write 1 400 $(( i % 7 + 1 )) text
		write 401 400 $(( i % 7 + 1 )) text
		verify 1 400 $(( i % 7 + 1 )) text
		discard_blocks "$DEV" 1201 200
		verify 401 400 $(( i % 7 + 1 )) text
		verify 801 400 1 text
		write 1201 200 1 text
		verify 1401 600 1 text
	done
	echo "lost $(stat_of "$DEV" compress_lost_slots)"
	empty "$DEV"
	# It goes while it is at work
	write 1 4000 1 text
	_write "$(ps_attr compress)" always
	unload pmemswap
}

hog()
{
	use "$BIG"
	compress_at_once "/sys/block/$DEV/pmemswap"
	swap_on "$DEV"
	squeezed t 32M
	cg_run "$CG" "$PROGS/hog" --size 80M --text --same 5 --threads 2 --random --passes 2 --fork 1
	num "decompressed_in_pages" "$(stat_of "$DEV" decompressed_in_pages)" -gt 100
	same "kills" "$(cg_event "$CG" oom_kill)" 0
}

echo "# seed $SEED"
case_ "text, programs, random data, zeros" real_data
case_ "slots change their kind" kinds
case_ "slots are freed and written again, and it stays dense" churn
case_ "as swap, copied" swapped off
case_ "as swap, mapped" swapped all
case_ "pages that were written to while they were mapped" unlent
case_ "a pool without a free page, and more data than pmem" dry
case_ "a pool without a free page, and nothing is cold" young
case_ "a pool without a free page, and gaps" gaps
case_ "more is swapped out than there is pmem" overcommitted
case_ "block_state" states
case_ "damaged data is noticed, on the device" damaged_device
case_ "damaged data is noticed, under swap" damaged_swap
case_ "a page fails before its data is compressed" bad_raw
case_ "while giving the namespace back is refused" refused_unbind
case_ "what is compressed when" modes
case_ "a part of a CPU" cpu_bound
case_ "suspend" frozen
case_ "values" values
case_ "blocks are rewritten, read and discarded meanwhile" rewritten
case_ "a hog" hog
case_ "everything at once, copied" tortured off
case_ "everything at once, mapped" tortured all
case_ "everything at once, and settings change" tortured all other_settings
case_ "everything at once, and swapoff" tortured all swap_off_and_on
case_ "everything at once, and unlend" tortured all unlend
cases_done
