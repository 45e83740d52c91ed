#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# vm: --mem 1G --nvdimm 512M --nvdimm 256M
# timeout: 900
# Whatever is written to a file, a parameter or a device: nothing breaks, and what is refused changes nothing.
#
# FUZZ_SEED repeats a run, FUZZ_INPUTS makes it longer (the number of inputs to files).

# shellcheck source-path=SCRIPTDIR
# shellcheck disable=SC2317 # cases_done calls them
. "$(dirname "$0")/../lib/pmemswap.sh"

need_namespaces 1
SEED=${FUZZ_SEED:-$(( (RANDOM << 15 | RANDOM) + 1 ))}
# A slow guest isn't made to take hours: there are thousands on a fast one
INPUTS=${FUZZ_INPUTS:-$(fewer 3000)}
diag "FUZZ_SEED=$SEED"

# All there is in sysfs of ours
files()
{
	find $TIER "/sys/block/$DEV/pmemswap" /sys/kernel/pmem_cachex \
		/sys/module/{pmem_tier,pmemswap,pmem_cachex}/parameters \
		"$ND/drivers/pmem_tier" -type f ! -name uevent 2>/dev/null
}

# everywhere: all modules, one namespace
everywhere()
{
	use "$SMALL"
	modprobe pmem_cachex
	DEV=$(dev_of "$SMALL")
}

fuzz_files()
{
	local all

	everywhere
	mapfile -t all < <(files)
	num "files" ${#all[@]} -gt 40
	"$PROGS/fuzz" files "$SEED" "$INPUTS" "${all[@]}"
	is_held "$SMALL"
}

# The same while the device is swapped on and a process has lent pages
fuzz_files_in_use()
{
	local all

	everywhere
	swap_on "$DEV"
	puppet p
	tell p map a 16M nohuge
	tell p fill a 1 random
	paged_out p a 3500
	mapfile -t all < <(files | grep -v /unbind)
	"$PROGS/fuzz" files "$((SEED + 1))" "$((INPUTS / 4))" "${all[@]}"
	tell p verify a
	puppet_end p
	is_held "$SMALL"
	_write "/sys/block/$DEV/pmemswap/map_faults" off
}

# Writing anything but "1" to what does something does nothing
refused()
{
	local before ps v f
	local -a counts
	local -a values=(0 2 +1 01 11 0x1 1.0 '1 1' '1,' 1x x1 y yes on all 18446744073709551617 4294967297 ' 1')

	everywhere
	ps=/sys/block/$DEV/pmemswap
	_write "$ps/promote_pages_per_second" 0
	swap_on "$DEV"
	puppet p
	tell p map a 4M nohuge
	tell p fill a 1 text
	paged_out p a 1000
	if [[ $(writing "$ps/map_faults" all) == 0 ]]; then
		tell p verify a
		tell p map b 4M nohuge
		tell p fill b 2 text
		paged_out p b 1000
	fi
	counts=("$ps"/{lent_pages,raw_slots,compressed_slots} "$TIER/$SMALL"/*_pages)
	before=$(grep -H '' "${counts[@]}")
	for f in "$ps"/{drain,unlend,compress_now}; do
		for v in "${values[@]}" $'1\n1' $'\n1' $'\x01'; do
			same "'$v' to ${f##*/}" "$(writing "$f" "$v")" EINVAL
			same "after '$v' to ${f##*/}" "$(grep -H '' "${counts[@]}")" "$before"
		done
	done
	# and "1" does
	_write "$ps/compress_now" 1
	num "compressed_slots" "$(stat_of "$DEV" compressed_slots)" -gt 900
	_write "$ps/drain" 1
	same "lent_pages" "$(stat_of "$DEV" lent_pages)" 0
	tell p verify a
	puppet_end p
}

# fuzz_load MODULE PARAMETER
fuzz_load()
{
	local file

	file=$(modinfo -n "$1")
	[[ $1 == pmem_tier ]] || modprobe pmem_tier
	"$PROGS/fuzz" load "$SEED" "$((INPUTS / 20))" "$file" "$2"
}

# fuzz_bio SIZE: of the device
fuzz_bio()
{
	use "$SMALL" "size=$1"
	"$PROGS/fuzzbio" "$SEED" "$INPUTS" "/dev/$DEV"
	balanced "$SMALL"
	empty "$DEV"
}

case_ "files of sysfs" fuzz_files
case_ "files of sysfs, all of it in use" fuzz_files_in_use
case_ "files that do something, when what is written is refused" refused
case_ "parameter claim" fuzz_load pmem_tier claim
case_ "parameter memmap" fuzz_load pmem_tier memmap
case_ "parameter wipe" fuzz_load pmem_tier wipe
case_ "parameter force" fuzz_load pmem_tier force
case_ "parameter size" fuzz_load pmemswap size
case_ "parameter targets" fuzz_load pmem_cachex targets
case_ "I/O, ranges and requests to the device" fuzz_bio 8M
cases_done
