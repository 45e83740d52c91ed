#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# vm: --mem 1G --nvdimm 512M --nvdimm 256M
# timeout: 900
# Wrong values of parameters and sysfs files give EINVAL and change nothing; right ones are taken.

# shellcheck source-path=SCRIPTDIR
# shellcheck disable=SC2317 # cases_done calls them
. "$(dirname "$0")/../lib/pmemswap.sh"

need_namespaces 2

# bad_param MODULE PARAM=VALUE...: the load fails with EINVAL, and the log names the value and
# what is accepted
bad_param()
{
	local value=${2#*=}

	log_mark
	fails 'Invalid argument' modprobe "$@"
	! loaded "$1" || fail "$1 $2: the module is loaded"
	log_since | grep -F -- "${value:0:200}" | grep -qE "^$1: .*(accept|expect)" || {
		log_since
		fail "$1 $2: the log doesn't name the value and what is accepted"
	}
}

wrong_claim()
{
	local v

	for v in foo namespace0 namespace namespace0. namespace.0 namespacea.b all0 ALL \
		"$BIG,foo" "$BIG," ",$BIG" "$BIG,,$BIG" "$BIG $BIG" "all,$BIG" "$BIG,all" \
		namespace0.0x "-$BIG" region0 btt0.0; do
		bad_param pmem_tier "claim=$v"
		is_free "$BIG"
	done
}

wrong_memmap()
{
	local v

	for v in disk RAM ramx ra 0 1 pmem,ram auto0; do
		bad_param pmem_tier "memmap=$v" "claim=$BIG"
		is_free "$BIG"
	done
}

# The kernel's own line: it names the value
wrong_force()
{
	local v

	for v in 2 x -1 maybe; do
		log_mark
		fails 'Invalid argument' modprobe pmem_tier "force=$v" "claim=$BIG"
		log_has "pmem_tier: .$v. invalid for parameter .force"
		is_free "$BIG"
	done
}

wrong_size()
{
	local v

	modprobe pmem_tier "claim=$BIG"
	for v in abc 1 4096 61440 65535 65537 4097 0 -1 -64K 1M1 1MB M 1.5M 64K,abc 64K,1 \
		'64K;64K' 99999999999999999999 18446744073709551615 17179869184G 0x 1Q 1048577 \
		17179869185G 18446744073709617152 0x100000 "$(printf '1M,%.0s' {1..400})"; do
		bad_param pmemswap "size=$v"
		same "device after size=$v" "$(dev_of "$BIG")" ''
	done
	pool_idle "$BIG"
	modprobe pmemswap
	same "device" "$(dev_of "$BIG")" pmemswap0
}

right_values()
{
	local m f

	for m in ram pmem auto; do
		for f in 0 1 y n; do
			modprobe pmem_tier "claim=$SMALL,$BIG" "memmap=$m" "force=$f"
			same memmap "$(</sys/module/pmem_tier/parameters/memmap)" "$m"
			same claim "$(</sys/module/pmem_tier/parameters/claim)" "$SMALL,$BIG"
			is_held "$SMALL"
			is_held "$BIG"
			rmmod pmem_tier
		done
	done
	# A name that isn't there (yet), none, and many
	modprobe pmem_tier claim=namespace77.3
	is_free "$BIG"
	rmmod pmem_tier
	modprobe pmem_tier claim=
	is_free "$BIG"
	rmmod pmem_tier
	modprobe pmem_tier "claim=$(printf 'namespace%d.0,' {100..150})$BIG"
	is_held "$BIG"
}

# slots DEVICE SLOTS: that many, in all places that say so
slots()
{
	same "slots of $1" "$(stat_of "$1" slots_total)" "$2"
	same "bytes of $1" "$(blockdev --getsize64 "/dev/$1")" $(( $2 * 4096 ))
}

default_slots() { slots "$1" "$(tier_stat "$(stat_of "$1" namespace)" total_pages)"; }

right_sizes()
{
	local pool v bytes

	modprobe pmem_tier "claim=$BIG,$SMALL"
	for v in 64K:16 65536:16 1M:256 100M:25600 409600K:102400 1G:262144; do
		modprobe pmemswap "size=${v%:*}"
		slots pmemswap0 "${v#*:}"
		default_slots pmemswap1
		swap_on pmemswap0
		same "swap size" "$(swap_kib pmemswap0)" $(( (${v#*:} - 1) * 4 ))
		swap_off pmemswap0
		rmmod pmemswap
	done

	modprobe pmemswap size=1M,2M
	slots pmemswap0 256
	slots pmemswap1 512
	rmmod pmemswap
	modprobe pmemswap size=,2M
	default_slots pmemswap0
	slots pmemswap1 512
	rmmod pmemswap

	# 16 times the pool, and one page more (of the second, as there is a first one)
	modprobe pmemswap
	pool=$(tier_stat "$(stat_of pmemswap1 namespace)" total_pages)
	rmmod pmemswap
	bytes=$(( pool * 4096 * 16 ))
	modprobe pmemswap "size=1M,$bytes"
	slots pmemswap1 $(( pool * 16 ))
	rmmod pmemswap
	log_mark
	modprobe pmemswap "size=1M,$(( bytes + 4096 ))"
	log_has "^pmemswap: .*($(( bytes + 4096 ))|$(( bytes / 4096 + 1 )))"
	same "devices" "$(find /sys/block/ -name 'pmemswap*' | wc -l)" 1
	slots pmemswap0 256
}

read_only_at_run_time()
{
	local f

	use "$BIG"
	for f in /sys/module/{pmem_tier,pmemswap}/parameters/*; do
		same "mode of $f" "$(stat -c %a "$f")" 444
	done
}

reserve()
{
	local f v before total

	use "$BIG"
	f=$TIER/$BIG/reserve_pages
	total=$(tier_stat "$BIG" total_pages)
	before=$(<"$f")
	same "default" "$before" $((total / 64))
	for v in -1 abc '' ' ' 1x 0x 1.5 $((total + 1)) 18446744073709551616 -9223372036854775808 \
		99999999999999999999999 '1 2' 10K; do
		refuses "$f" "$v"
	done
	for v in 0 1 1000 "$total"; do
		same "writing $v" "$(writing "$f" "$v")" 0
		same "reserve_pages" "$(<"$f")" "$v"
	done

	# Swap is a hard user: it may take the last page, whatever the reserve
	"$PROGS/blkdata" write "/dev/$DEV" 0 100 5
	"$PROGS/blkdata" verify "/dev/$DEV" 0 100 5
	empty "$DEV"
	same "writing $before" "$(writing "$f" "$before")" 0
}

# Reading is all that can be done to the rest
read_only_files()
{
	local f before got

	use "$BIG"
	for f in "$TIER/$BIG"/* "/sys/block/$DEV/pmemswap"/*; do
		case ${f##*/} in
		reserve_pages|map_faults|fault_around_pages|promote_pages_per_second|drain|unlend| \
		compress|compress_level|compress_now|compress_cpu_percent|cold_age_ms) continue ;;
		esac
		before=$(<"$f")
		got=$(writing "$f" 1)
		[[ $got != 0 ]] || fail "$f can be written"
		same "$f" "$(<"$f")" "$before"
	done
}

case_ "wrong values of claim=" wrong_claim
case_ "wrong values of memmap=" wrong_memmap
case_ "wrong values of force=" wrong_force
case_ "wrong values of size=" wrong_size
case_ "right values of claim=, memmap=, force=" right_values
case_ "right values of size=" right_sizes
case_ "parameters can't be changed at run time" read_only_at_run_time
case_ "reserve_pages" reserve
case_ "statistics can't be written" read_only_files
cases_done
