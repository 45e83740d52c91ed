#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# On top of pmemswap.sh: allocations that fail, where the kernel has fault injection (make check-debug).

FAULT=/sys/kernel/debug

# function_at NAME: sets FIRST and END, where it is in the kernel
function_at()
{
	# Addresses are of one length. (Not sort: for it the file is empty, so it takes next to no memory, and for ever)
	read -r FIRST END < <(awk -v f="$1" '$3 == f { first = $1 "" }
		{ addr[NR] = $1 "" }
		END { for (i in addr) if (addr[i] > first && (end == "" || addr[i] < end)) end = addr[i]
			if (first != "" && end != "") print "0x" first, "0x" end }' /proc/kallsyms)
	[[ -n $END ]] || fail "where is $1()?"
}

# spare FUNCTION: what is allocated below it doesn't fail. (One function at a time)
spare()
{
	local f

	function_at "$1"
	for f in failslab fail_page_alloc; do
		push $FAULT/$f/reject-start "$FIRST"
		push $FAULT/$f/reject-end "$END"
	done
}

# need_injection: allocations of all kinds can fail, without a word in the log
need_injection()
{
	local f

	[[ -e /proc/self/fail-nth && -d $FAULT/failslab ]] || skip 'needs a kernel with fault injection'
	for f in failslab fail_page_alloc; do
		push $FAULT/$f/verbose 0
		push $FAULT/$f/ignore-gfp-wait N
	done
	push $FAULT/fail_page_alloc/min-order 0
	push $FAULT/fail_page_alloc/ignore-gfp-highmem N
	# kmemleak takes a note of each allocation, and does without when it can't
	! grep -q ' __alloc_object$' /proc/kallsyms || spare __alloc_object
}

# only_below FIRST END: only what is allocated below a function in that range
only_below()
{
	local f

	for f in failslab fail_page_alloc; do
		push $FAULT/$f/require-start "$1"
		push $FAULT/$f/require-end "$2"
	done
}

# only_in MODULE...: only what is allocated on behalf of a loaded module. (One range for all of them)
only_in()
{
	local m first='' end='' base size

	for m; do
		read -r base size < <(awk -v m="$m" '$1 == m { print $NF ~ /^0x/ ? $NF : $(NF - 1), $2 }' /proc/modules)
		(( base )) || fail "where is $m?"
		[[ -n $first ]] && (( first < base )) || first=$base
		[[ -n $end ]] && (( end > base + size )) || end=$(( base + size ))
	done
	only_below "$(printf '%#x' "$first")" "$(printf '%#x' "$end")"
}
