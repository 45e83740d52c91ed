#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# vm: --mem 1G --nvdimm 512M --nvdimm 256M
# timeout: 900
# Hibernation is refused while a device is in use: what it holds doesn't outlive a power-off.

# shellcheck source-path=SCRIPTDIR
# shellcheck disable=SC2317 # cases_done calls them
. "$(dirname "$0")/../lib/pmemswap.sh"

need_namespaces 1

refused()
{
	log_mark
	same "hibernation" "$(writing /sys/power/state disk)" EBUSY
	log_has "pmemswap: $DEV: in use: no hibernation"
}

swap_active_then_not()
{
	hibernate_trial
	use "$BIG"
	swap_on "$DEV"
	puppet p
	tell p map a 8M
	tell p fill a 1 mixed
	tell p pageout a
	refused
	tell p verify a
	puppet_end p
	swap_off "$DEV"
	same "hibernation" "$(writing /sys/power/state disk)" 0
	swap_on "$DEV"
}

only_open()
{
	hibernate_trial
	use "$BIG"
	exec 9<"/dev/$DEV"
	refused
	exec 9<&-
	swap_on "$DEV"
}

pages_lent()
{
	hibernate_trial
	use "$BIG"
	[[ $(writing "/sys/block/$DEV/pmemswap/map_faults" all) == 0 ]] ||
		skip 'this kernel has no page-in by mapping'
	swap_on "$DEV"
	puppet p
	tell p map a 8M nohuge
	tell p fill a 1 random
	tell p pageout a
	tell p verify a
	swap_off "$DEV"
	num "pages lent" "$(tier_stat "$BIG" lent_pages)" -gt 0
	refused
	tell p verify a
	puppet_end p
}

# Nothing is in use but what the kernel knows of the pages
memory_map()
{
	hibernate_trial
	use "$BIG" memmap=pmem
	log_mark
	same "hibernation" "$(writing /sys/power/state disk)" EBUSY
	log_has "pmem_tier: $BIG: no hibernation: its memory map is in pmem"
	# and it is over
	swap_on "$DEV"
}

case_ 'swap is active' swap_active_then_not
case_ 'the device is only open' only_open
case_ 'swap is off and pages are lent' pages_lent
case_ 'the memory map is in pmem' memory_map
cases_done
