#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# vm: --mem 1G --nvdimm 512M --nvdimm 256M
# timeout: 300
# Functions of the kernel are called and hooked only if they are what they are taken for.

# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/../lib/pmemswap.sh"

FEATURES=/sys/kernel/pmem_tier/features
TRACING=/sys/kernel/tracing
modinfo pmem_tier_try >/dev/null || skip "needs the modules in selftests/modules"

NO_BTF='on, types unchecked: all, the kernel has no BTF'
# What is said of a feature that works
[[ -e /sys/kernel/btf/vmlinux ]] && ON=on || ON=$NO_BTF
need_btf() { [[ $ON == on ]] || skip "needs a kernel with BTF"; }

# try STATE PROTOTYPE HOOK: what becomes of the feature that asks for it
try()
{
	load pmem_tier_try "prototype=$2" "hook=$3"
	same "the feature that wants '$2' (hook=$3)" "$(<$FEATURES)" "try: $1"
	unload pmem_tier_try
}

# refused STATE PROTOTYPE: neither called nor hooked, and the log has one line of it
refused()
{
	local hook

	for hook in 0 1; do
		log_mark
		try "off: $1" "$2" $hook
		same "the log" "$(log_since | grep ' is off: ')" "pmem_tier: try is off: $1"
	done
}

# mistaken REAL PROTOTYPE...: the kernel has REAL and no other
mistaken()
{
	local p

	need_btf
	try on "$1" 0
	for p in "${@:2}"; do
		refused "expected \"$p\", the kernel has \"$1\"" "$p"
	done
}

no_such()
{
	refused 'the kernel has no no_such_function' 'int no_such_function(void)'
	refused 'the kernel has no no_such_variable' 'int no_such_variable'
}

no_prototype()
{
	refused '"do_swap_page" is no prototype' do_swap_page
	refused '"(*)(void)" is no prototype' '(*)(void)'
}

# A name that several static functions have
ambiguous()
{
	local name

	name=$(awk '$2 == "t" && NF == 3 && $3 ~ /^[a-z_]+$/ && n[$3]++ { print $3; exit }' /proc/kallsyms)
	[[ -n $name ]] || skip "no two functions have the same name"
	refused "the kernel has more than one $name" "void $name(void)"
}

# The kernel has it, but says nothing of its type
not_in_btf()
{
	need_btf
	refused "expected \"int init_mm(void)\", the kernel's BTF has no such function" \
		'int init_mm(void)'
	try 'on, types unchecked: init_mm' 'struct mm_struct init_mm' 0
}

no_btf()
{
	local p

	[[ ! -e /sys/kernel/btf/vmlinux ]] || skip "needs a kernel without BTF"
	for p in 'unsigned int do_swap_page(struct vm_fault *)' 'int do_swap_page(void)' \
		'struct mm_struct init_mm'; do
		log_mark
		try "$NO_BTF" "$p" 0
		same "lines in the log" "$(log_since | grep -c ' the kernel has no BTF')" 1
	done
}

hooked()
{
	mountpoint -q $TRACING || mount -t tracefs tracefs $TRACING
	grep -qE "^$1 " $TRACING/enabled_functions
}

# hook on|off TYPE: asks for the function of that type, looks whether it is hooked
hook()
{
	local f=disable_swap_slots_cache_lock

	load pmem_tier_try "prototype=$2 $f(void)" hook=1
	[[ $(<$FEATURES) == "try: $1"* ]] || fail "$(<$FEATURES)"
	if [[ $1 == on ]]; then
		hooked $f || fail "$f isn't hooked"
		same "functions hooked" "$(grep -c try_tramp $TRACING/enabled_functions)" 1
		unload pmem_tier_try
	fi
	! hooked $f || fail "$f is hooked"
}

hook_of_another_type()
{
	need_btf
	hook off int
}

# A frontend that is turned on, off and on again
hook_again()
{
	load pmem_tier_try 'prototype=void disable_swap_slots_cache_lock(void)' hook=1 again=20
	same "the feature" "$(<$FEATURES)" "try: $ON"
	hooked disable_swap_slots_cache_lock || fail "it isn't hooked"
	unload pmem_tier_try
	! hooked disable_swap_slots_cache_lock || fail "it is hooked still"
}

# As those are that ftrace itself is made of
not_traceable()
{
	local f='unsigned long ftrace_location(unsigned long)'

	try "off: can't hook \"$f\": error -22" "$f" 1
}

ftrace_on() { echo "$1" >/proc/sys/kernel/ftrace_enabled; }

# It is on, and nobody can switch it off
is_kept()
{
	same "kernel.ftrace_enabled=0" "$(writing /proc/sys/kernel/ftrace_enabled 0)" EBUSY
	same "kernel.ftrace_enabled" "$(</proc/sys/kernel/ftrace_enabled)" 1
}

ftrace_is_off()
{
	local f='unsigned int do_swap_page(struct vm_fault *)' off

	off="off: can't hook \"$f\": kernel.ftrace_enabled is 0: error -16"
	at_exit ftrace_on 1
	ftrace_on 0
	log_mark
	load pmem_tier_try "prototype=$f" hook=1
	same "the feature" "$(<$FEATURES)" "try: $off"
	same "the log" "$(log_since | grep ' is off: ')" "pmem_tier: try is $off"
	ftrace_on 1
	same "the feature" "$(<$FEATURES)" "try: $off"
	! hooked do_swap_page || fail 'it is hooked'
	ftrace_on 0
	ftrace_on 1
	unload pmem_tier_try
	try "$ON" "$f" 1
	same "kernel.ftrace_enabled=0, no hook is left" "$(writing /proc/sys/kernel/ftrace_enabled 0)" 0
}

# The same of a frontend: it copies, and what becomes possible later begins when it is asked for
ftrace_was_off()
{
	local dev

	need_namespaces 1
	at_exit ftrace_on 1
	ftrace_on 0
	load pmem_tier "claim=$BIG"
	load pmemswap
	grep -q '^map_in: off: .*kernel.ftrace_enabled is 0' $FEATURES || fail "$(<$FEATURES)"
	dev=$(dev_of "$BIG")
	same "map_faults" "$(stat_of "$dev" map_faults)" off
	same "map_faults=all" "$(writing "/sys/block/$dev/pmemswap/map_faults" all)" EOPNOTSUPP
	ftrace_on 1
	! hooked '(do_swap_page|zswap_store)' || fail "$(<$TRACING/enabled_functions)"
	same "map_faults" "$(stat_of "$dev" map_faults)" off
	"$PROGS/blkdata" write "/dev/$dev" 1 1000 7
	"$PROGS/blkdata" verify "/dev/$dev" 1 1000 7
	same "map_faults=all, slots are in use" "$(writing "/sys/block/$dev/pmemswap/map_faults" all)" EBUSY
	empty "$dev"
	same "map_faults=all" "$(writing "/sys/block/$dev/pmemswap/map_faults" all)" 0
	grep -q '^map_in: on' $FEATURES || fail "$(<$FEATURES)"
	is_kept
	unload pmemswap pmem_tier
	same "kernel.ftrace_enabled=0, no hook is left" "$(writing /proc/sys/kernel/ftrace_enabled 0)" 0
}

# Nobody writes to it any more afterwards: a process of its own would, once
ftrace_goes_on_and_off()
{
	while :; do
		ftrace_on 0
		ftrace_on 1
	done
} 2>/dev/null

ends()
{
	kill "$1"
	wait "$1" || :
}

# Whoever is first: either it is hooked and stays so, or the feature is off
ftrace_goes_off_meanwhile()
{
	local f=disable_swap_slots_cache_lock i on=0

	at_exit ftrace_on 1
	( trap - EXIT ERR; set +e; ftrace_goes_on_and_off ) &
	at_exit ends $!
	for i in {1..20}; do
		load pmem_tier_try "prototype=void $f(void)" hook=1
		if [[ $(<$FEATURES) == "try: $ON" ]]; then
			hooked $f || fail "it isn't hooked"
			is_kept
			on=$((on + 1))
		else
			same "the feature" "$(<$FEATURES)" \
				"try: off: can't hook \"void $f(void)\": kernel.ftrace_enabled is 0: error -16"
			! hooked $f || fail "it is hooked"
		fi
		unload pmem_tier_try
	done
	echo "$on of $i times it was on"
}

ktap_plan 16
t 'a function that there is not' no_such
t 'what is no prototype' no_prototype
t 'a name that several have' ambiguous
t 'another type is returned' mistaken 'struct anon_vma *folio_get_anon_vma(struct folio *)' \
	'void folio_get_anon_vma(struct folio *)' \
	'struct folio *folio_get_anon_vma(struct folio *)' \
	'const struct anon_vma *folio_get_anon_vma(struct folio *)'
t 'another number of parameters' mistaken 'void try_to_migrate(struct folio *, enum ttu_flags)' \
	'void try_to_migrate(void)' \
	'void try_to_migrate(struct folio *)' \
	'void try_to_migrate(struct folio *, enum ttu_flags, int)'
t 'parameters of another type' mistaken \
	'int __mem_cgroup_charge(struct folio *, struct mm_struct *, unsigned int)' \
	'int __mem_cgroup_charge(struct page *, struct mm_struct *, unsigned int)' \
	'int __mem_cgroup_charge(struct folio *, struct mm_struct *, int)' \
	'int __mem_cgroup_charge(struct folio *, struct mm_struct *, unsigned long)' \
	'int __mem_cgroup_charge(struct folio *, struct mm_struct **, unsigned int)' \
	'int __mem_cgroup_charge(struct folio *, const struct mm_struct *, unsigned int)'
t 'a variable of another type' mistaken 'struct rq runqueues' 'struct cfs_rq runqueues' 'struct rq *runqueues'
t 'what BTF knows nothing of' not_in_btf
t 'a kernel without BTF' no_btf
t 'a hook' hook on void
t 'a hook that is removed and installed again' hook_again
t 'a hook on a function of another type' hook_of_another_type
t 'a function out of reach for ftrace' not_traceable
t 'ftrace is off' ftrace_is_off
t 'a frontend that is loaded while ftrace is off' ftrace_was_off
t 'ftrace is switched off and on meanwhile' ftrace_goes_off_meanwhile
