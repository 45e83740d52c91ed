#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# vm: --mem 1G --nvdimm 512M --nvdimm 256M
# timeout: 900
# What docs/ABI documents is what is there, and what is there is documented.

# shellcheck source-path=SCRIPTDIR
# shellcheck disable=SC2317 # cases_done calls them
. "$(dirname "$0")/../lib/pmemswap.sh"

need_namespaces 1
DOCS=$SELFTESTS/../docs/ABI
[[ -d $DOCS ]] || skip "needs docs/ABI beside selftests"

# Every "What:" that is a file below directory $1, its letter after $1 taken away
documented()
{
	sed -n 's/^What:[[:space:]]*//p' "$DOCS"/sysfs-* | sed -n "s,^$1/\([a-z_]*\)\$,\1,p" |
		grep . | sort
}

# Permissions as "(RO", "(RW", "(WO" after a file's "What:" say them
documented_mode()
{
	awk -v what="$1" '
		$1 == "What:" { on = $2 == what }
		on && match($0, /\((RO|RW|WO)[,)]/) { print substr($0, RSTART + 1, 2); exit }
		' "$DOCS"/sysfs-*
}

# What the docs call a counter, of those below directory $1
counters()
{
	awk -v dir="$1/" '
		$1 == "What:" { what = $2 }
		/RO, counter/ && index(what, dir) == 1 { print substr(what, length(dir) + 1) }
		' "$DOCS"/sysfs-*
}

# live DIRECTORY "WHAT IN THE DOCS"
live()
{
	local f mode want

	diff <(documented "$2") <(find "$1" -maxdepth 1 -type f -printf '%f\n' | sort) ||
		fail "$1 and the docs differ"
	for f in "$1"/*; do
		[[ -f $f ]] || continue
		mode=$(stat -c %a "$f")
		case $(documented_mode "$2/${f##*/}") in
		RO)	want=444 ;;
		RW)	want=644 ;;
		WO)	want=200 ;;
		*)	fail "the docs don't say RO, RW or WO of $2/${f##*/}" ;;
		esac
		same "mode of $f" "$mode" $want
		[[ $want != 200 ]] || continue
		same "lines of $f" "$(wc -l <"$f")" 1
		same "words of $f" "$(wc -w <"$f")" 1
		case $f in
		*_pages|*_bytes|*slots*)
			[[ $(<"$f") =~ ^[0-9]+$ ]] || fail "$f is no number: $(<"$f")" ;;
		esac
	done
}

tier_files()
{
	use "$BIG"
	live "$TIER/$BIG" '/sys/kernel/pmem_tier/<namespace>'
	same "other files" "$(find $TIER -maxdepth 1 -type f)" "$TIER/features"
	documented "$TIER" | grep -qx features || fail "the docs don't have features"
	[[ $(tier_stat "$BIG" uuid) =~ ^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$ ]] ||
		fail "uuid: $(tier_stat "$BIG" uuid)"
}

swap_files()
{
	local f

	use "$BIG"
	live "/sys/block/$DEV/pmemswap" '/sys/block/pmemswap<N>/pmemswap'
	same "namespace" "$(stat_of "$DEV" namespace)" "$BIG"
	while read -r f; do
		same "counter $f at the start" "$(stat_of "$DEV" "$f")" 0
	done < <(counters '/sys/block/pmemswap<N>/pmemswap')
}

cache_files()
{
	use "$BIG"
	modprobe pmem_cachex
	_write /sys/kernel/pmem_cachex/targets ext4
	live /sys/kernel/pmem_cachex /sys/kernel/pmem_cachex
	same "world-writable files" "$(find /sys/kernel/pmem_cachex /sys/module/pmem_cachex \
		-type f -perm /022)" ''
	same "at the start" "$(grep -r -L -x 0 /sys/kernel/pmem_cachex/{puts,hits,promoted,re*,given*,s*,target_stats})" ''
	diff <({ counters /sys/kernel/pmem_cachex; echo stored_pages; } | sort) \
		<({ ls /sys/kernel/pmem_cachex/target_stats/ext4; echo rejected_target; } | sort) ||
		fail "the counters of a target and the docs differ"
}

driver_files()
{
	local dir=$ND/drivers/pmem_tier f

	use "$BIG"
	diff <(documented "$dir") \
		<(find "$dir" -maxdepth 1 -type f ! -name uevent -printf '%f\n' | sort) ||
		fail "$dir and the docs differ"
	for f in bind unbind; do
		same "the docs' mode of $f" "$(documented_mode "$dir/$f")" WO
		same "mode of $f" "$(stat -c %a "$dir/$f")" 200
	done
}

# $1: module; documented as "What: MODULE.PARAM=..."
parameters()
{
	local doc

	use "$BIG"
	modprobe "$1"
	doc=$(sed -n "s/^What:[[:space:]]*$1\.\([a-z_]*\)=.*/\1/p" "$DOCS/module-parameters" | sort)
	diff <(echo "$doc") <(find "/sys/module/$1/parameters" -type f -printf '%f\n' | sort) ||
		fail "parameters of $1 and the docs differ"
	diff <(echo "$doc") <(modinfo -F parm "$1" | sed 's/:.*//' | sort) ||
		fail "modinfo of $1 and the docs differ"
	modinfo -F parm "$1" | while IFS=: read -r name text; do
		num "words about $name" "$(wc -w <<<"$text")" -ge 4
	done
}

modinfo_fields()
{
	num "words of description" "$(modinfo -F description "$1" | wc -w)" -ge 4
	same "author" "$(modinfo -F author "$1")" 'pmemswap contributors'
	same "license" "$(modinfo -F license "$1")" GPL
	num "length of version" "$(modinfo -F version "$1" | wc -c)" -gt 1
}

# By these modprobe finds it from the devices, and what it needs
modinfo_tier()
{
	modinfo -F alias pmem_tier | grep -qx 'nd:t4\*'
	modinfo -F alias pmem_tier | grep -qx 'nd:t5\*'
	modinfo -F depends pmem_tier | grep -qw libnvdimm
	modinfo -F depends pmemswap | grep -qw pmem_tier
}

nothing_world_writable()
{
	use "$BIG"
	same "world-writable files" "$(find $TIER "/sys/block/$DEV/pmemswap" \
		/sys/module/pmem_tier /sys/module/pmemswap "$ND/drivers/pmem_tier" \
		-type f -perm /022)" ''
}

case_ "/sys/kernel/pmem_tier" tier_files
case_ "/sys/block/pmemswapN/pmemswap" swap_files
case_ "/sys/kernel/pmem_cachex" cache_files
case_ "/sys/bus/nd/drivers/pmem_tier" driver_files
case_ "parameters of pmem_tier" parameters pmem_tier
case_ "parameters of pmemswap" parameters pmemswap
case_ "parameters of pmem_cachex" parameters pmem_cachex
case_ "modinfo of pmem_tier" modinfo_fields pmem_tier
case_ "modinfo of pmemswap" modinfo_fields pmemswap
case_ "modinfo of pmem_cachex" modinfo_fields pmem_cachex
case_ "aliases and dependencies" modinfo_tier
case_ "nothing is writable but by root" nothing_world_writable
cases_done
