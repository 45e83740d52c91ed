#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# vm: --mem 1G --nvdimm 512M --nvdimm 256M
# timeout: 600
# Swap entries that several processes refer to after fork are mapped as well: nobody sees another's
# writes, whoever is left alone writes in place, and nothing is copied for reading.

# shellcheck source-path=SCRIPTDIR
# shellcheck disable=SC2317 # cases_done calls them
. "$(dirname "$0")/../lib/mapping.sh"

need_namespaces 1

ENOUGH=$(( PAGES * 9 / 10 ))

is_stat() { (( $(stat_of "$DEV" "$1") == $2 )); }

# shared: a puppet "p" with all of region a out, and forked; $CHILD holds it, too. p then reads it.
shared()
{
	out
	tell p forkhold a
	CHILD=$REPLY
	COPIED=$(stat_of "$DEV" copied_in_pages)
	tell p verify a
	num "shared pages" "$(stat_of "$DEV" shared_pages)" -ge $ENOUGH
	num "lent pages" "$(stat_of "$DEV" lent_pages)" -ge $ENOUGH
	same "pages copied" "$(stat_of "$DEV" copied_in_pages)" "$COPIED"
}

end()
{
	puppet_end p
	! swap_active "$DEV" || swap_off "$DEV"
	idle "$BIG"
}

both_map()
{
	shared
	# It maps the pages that p has mapped, too
	tell p forkend a
	same "pages copied" "$(stat_of "$DEV" copied_in_pages)" "$COPIED"
	tell p verify a
	loop_until 30 is_stat shared_pages 0
	num "lent pages" "$(stat_of "$DEV" lent_pages)" -ge $ENOUGH
	end
}

writes_are_private()
{
	shared
	tell p fill a 2 random 0 2000
	tell p verify a
	tell p forkend a
	tell p verify a
	tell p fill a 3 random
	tell p verify a
	end
}

written_first()
{
	out
	tell p forkhold a
	tell p fill a 2 random
	tell p verify a
	tell p forkend a
	tell p verify a
	end
}

alone_writes_in_place()
{
	local lent

	shared
	kill -9 "$CHILD"
	loop_until 30 is_stat shared_pages 0
	lent=$(stat_of "$DEV" lent_pages)
	num "lent pages" "$lent" -ge $ENOUGH
	tell p fill a 2 random
	tell p verify a
	same "lent pages" "$(stat_of "$DEV" lent_pages)" "$lent"
	same "pages copied" "$(stat_of "$DEV" copied_in_pages)" "$COPIED"
	end
}

first_goes()
{
	shared
	tell p zap a
	loop_until 30 is_stat shared_pages 0
	same "lent pages" "$(stat_of "$DEV" lent_pages)" 0
	num "slots in use" "$(stat_of "$DEV" slots_used)" -ge $ENOUGH
	# Alone now, it maps what p has had before
	tell p forkend a
	same "pages copied" "$(stat_of "$DEV" copied_in_pages)" "$COPIED"
	tell p verify a
	end
}

swapoff_maps_for_all()
{
	shared
	swap_off "$DEV"
	same "pages copied" "$(stat_of "$DEV" copied_in_pages)" "$COPIED"
	tell p fill a 2 random 0 2000
	tell p forkend a
	tell p verify a
	end
}

# Who hasn't mapped it gets a copy from a slot that is about to go
swapoff_copies_for_one()
{
	shared
	_write "$(ps_attr map_faults)" read
	swap_off "$DEV"
	num "pages copied" "$(stat_of "$DEV" copied_in_pages)" -ge $(( COPIED + ENOUGH ))
	tell p fill a 2 random 0 2000
	tell p forkend a
	tell p verify a
	end
}

other_copies()
{
	shared
	_write "$(ps_attr map_faults)" off
	tell p forkend a
	num "pages copied" "$(stat_of "$DEV" copied_in_pages)" -ge $(( COPIED + ENOUGH ))
	tell p fill a 2 random 0 2000
	tell p verify a
	end
}

drain()
{
	shared
	_write "$(ps_attr drain)" 1
	same "lent pages" "$(stat_of "$DEV" lent_pages)" 0
	same "shared pages" "$(stat_of "$DEV" shared_pages)" 0
	num "slots in use" "$(stat_of "$DEV" slots_used)" -ge $ENOUGH
	tell p fill a 2 random 0 2000
	tell p forkend a
	tell p verify a
	end
}

# Pages are on their way to DRAM when swapoff comes to them
drain_and_swapoff()
{
	local i drainer

	mapping all 16
	puppet p
	tell p map a 16M nohuge
	for i in {1..4}; do
		tell p fill a "$i" random
		loop_until 20 goes_out $ENOUGH
		tell p forkhold a
		tell p verify a
		_write "$(ps_attr map_faults)" read
		while swap_active "$DEV"; do writing "$(ps_attr drain)" 1; done >/dev/null &
		drainer=$!
		swap_off "$DEV"
		wait $drainer || :
		tell p verify a
		tell p forkend a
		swap_on "$DEV"
		_write "$(ps_attr map_faults)" all
	done
	end
}

# ... but for what the CPUs keep
nothing_swapped() { (( $(<"$CG/memory.swap.current") <= $(slot_cache) << 12 )); }

# A page in DRAM and what is left in the slot are both accounted for
charged()
{
	mapping all 16
	limited t 64M
	puppet p "$CG"
	tell p map a 16M nohuge
	tell p fill a 1 random
	loop_until 20 goes_out $ENOUGH
	tell p forkhold a
	tell p verify a
	num "shared pages" "$(stat_of "$DEV" shared_pages)" -ge $ENOUGH
	num "memory.swap.current" "$(<"$CG/memory.swap.current")" -ge $(( ENOUGH << 12 ))
	_write "$(ps_attr drain)" 1
	num "memory.swap.current" "$(<"$CG/memory.swap.current")" -ge $(( ENOUGH << 12 ))
	num "memory.current" "$(<"$CG/memory.current")" -ge $(( ENOUGH << 12 ))
	tell p forkend a
	tell p verify a
	puppet_end p
	loop_until 20 nothing_swapped
	swap_off "$DEV"
	same "memory.swap.current" "$(<"$CG/memory.swap.current")" 0
	idle "$BIG"
}

case_ 'both processes map one page' both_map
case_ 'writes of one are not for the other' writes_are_private
case_ 'written before anybody reads' written_first
case_ 'who is left alone writes in place' alone_writes_in_place
case_ 'who mapped first goes first' first_goes
case_ 'swapoff maps for all' swapoff_maps_for_all
case_ 'swapoff that copies for those who have not mapped' swapoff_copies_for_one
case_ 'one maps, the other copies' other_copies
case_ 'drain moves the page and leaves the slot' drain
case_ 'drain and swapoff at the same time' drain_and_swapoff
case_ 'charged as swap, and as memory' charged
cases_done
