#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# For tests written in shell: KTAP output, cleanup in reverse order, waiting, log marks, sysfs, cgroups.
#
#	. "$(dirname "$0")/../lib/ktap.sh"
#	ktap_plan 2
#	t 'what must hold' some_function its arguments
#	t 'another thing' another_function
#
# Each "t" runs its function in a subshell under "set -e": the first command that fails fails the
# subtest, whose output becomes its diagnostics. What at_exit, push, cg_new and the like leave to be
# undone is undone when the subtest ends, or, for the top level of a file, when the file ends.

ND=/sys/bus/nd
CG_ROOT=/sys/fs/cgroup

_ktap_planned='' _ktap_skip_all='' _ktap_count=0 _ktap_failed=0 _ktap_skipped=0
_at_exit=()

echo 'KTAP version 1'

# ---- Results ----

ktap_plan()
{
	_ktap_planned=$1
	echo "1..$1"
}

diag() { printf '# %s\n' "$@"; }

ktap_ok()
{
	echo "ok $((++_ktap_count)) - $1"
}

ktap_fail()
{
	_ktap_failed=$((_ktap_failed + 1))
	echo "not ok $((++_ktap_count)) - $1"
}

# ktap_skip NAME REASON
ktap_skip()
{
	_ktap_skipped=$((_ktap_skipped + 1))
	echo "ok $((++_ktap_count)) - $1 # SKIP ${2:-}"
}

# t NAME CMD [ARG...]: one subtest. Status 0 passes, skip skips, all else fails.
t()
{
	local name=$1 rc reason=$_ktap_tmp/reason

	shift
	: >"$reason"
	( _at_exit=(); trap _run_at_exit EXIT; trap 'exit 1' TERM; set -eE; trap '_where "$BASH_COMMAND"' ERR; "$@" ) 2>&1 |
		( trap '' TERM; exec sed -u 's/^/# /' )
	rc=${PIPESTATUS[0]}
	if (( rc == 0 )); then
		ktap_ok "$name"
	elif (( rc == 4 )) && [[ -s $reason ]]; then
		ktap_skip "$name" "$(<"$reason")"
	else
		diag "status $rc"
		ktap_fail "$name"
	fi
}

_where()
{
	local i

	echo "failed: $1"
	for (( i = 1; i < ${#FUNCNAME[@]} - 1; i++ )); do
		[[ ${FUNCNAME[i]} != t ]] || break
		echo "  in ${FUNCNAME[i]}, ${BASH_SOURCE[i]##*/}:${BASH_LINENO[i-1]}"
	done
	trap - ERR
} >&2

# Within a subtest: fail REASON, skip REASON. At the top level they end the file.
fail()
{
	echo "$*"
	exit 1
}

skip()
{
	printf '%s' "$*" >"$_ktap_tmp/reason"
	if (( BASH_SUBSHELL == 0 )); then
		_ktap_skip_all=1
		echo "1..0 # SKIP $*"
	fi
	exit 4
}

# fewer N [LEAST]: rounds of what is done at random, on a kernel that takes so much longer for each
fewer()
{
	local n=$(( $1 / ${KTAP_SLOW:-1} )) least=${2:-1}

	echo $(( n > least ? n : least ))
}

# need CMD...: each program must exist
need()
{
	local c

	for c; do
		command -v "$c" >/dev/null || skip "needs $c"
	done
}

# same WHAT GOT WANTED
same()
{
	[[ $2 == "$3" ]] || fail "$1 is '$2', not '$3'"
}

# ---- Undoing ----

# at_exit CMD [ARG...]: run when the subtest (or the file) ends; last registered, first run
at_exit()
{
	_at_exit+=("${*@Q}")
}

_run_at_exit()
{
	local rc=$? i

	trap - ERR
	set +e
	for (( i = ${#_at_exit[@]} - 1; i >= 0; i-- )); do
		eval "${_at_exit[i]}" || echo "cleanup failed: ${_at_exit[i]}"
	done
	_at_exit=()
	return "$rc"
}

_finish()
{
	local rc=$?

	trap - EXIT
	_run_at_exit
	rm -rf "$_ktap_tmp"
	(( rc == 4 && _ktap_count == 0 )) && [[ -n $_ktap_skip_all ]] && exit 4
	if [[ -z $_ktap_planned ]]; then
		echo "1..$_ktap_count"
	elif (( _ktap_planned != _ktap_count )); then
		diag "planned $_ktap_planned subtests, ran $_ktap_count"
		rc=1
	fi
	(( _ktap_failed == 0 && _ktap_count > 0 )) || rc=1
	(( rc == 0 && _ktap_skipped == _ktap_count )) && exit 4
	exit "$(( rc != 0 ))"
}

_ktap_tmp=$(mktemp -d)
trap _finish EXIT
trap 'exit 1' TERM INT

# ---- Waiting ----

# loop_until SECONDS CMD [ARG...]: poll until CMD succeeds
loop_until()
{
	local end=$((SECONDS + $1 * ${KTAP_SLOW:-1}))

	shift
	until "$@"; do
		if (( SECONDS >= end )); then
			echo "gave up waiting for: $*"
			return 1
		fi
		sleep 0.05
	done
}

# ---- Kernel log ----

# log_mark: what log_since prints begins here
log_mark()
{
	LOG_MARK="ktap: mark $BASHPID.$RANDOM$RANDOM"
	echo "$LOG_MARK" >/dev/kmsg
}

# Whole log since log_mark, without time stamps
log_since()
{
	dmesg | awk -v mark="$LOG_MARK" '
		{ sub(/^\[ *[0-9.]+\] /, "") }
		$0 == mark { on = 1; next }
		on'
}

# log_has REGEX: does the log say so since log_mark?
log_has()
{
	log_since | grep -Eq -- "$1" || { echo "the log doesn't say: $1"; log_since | tail -n 20; return 1; }
}

# ---- Files in sysfs, parameters ----

# push FILE VALUE: write, and restore the old value in the end
push()
{
	local old

	old=$(<"$1")
	at_exit _write "$1" "$old"
	_write "$1" "$2"
}

_write() { printf '%s\n' "$2" >"$1"; }

# refuses FILE VALUE [ERROR TEXT]: writing must fail (with "Invalid argument") and change nothing
refuses()
{
	local before='' after='' err

	[[ ! -r $1 ]] || before=$(cat "$1" 2>/dev/null) || :
	if err=$( { printf '%s\n' "$2" >"$1"; } 2>&1 ); then
		fail "$1 accepted '$2'"
	fi
	[[ $err == *": ${3:-Invalid argument}"* ]] || fail "$1 <- '$2': $err, not ${3:-Invalid argument}"
	[[ ! -r $1 ]] || after=$(cat "$1" 2>/dev/null) || :
	same "$1" "$after" "$before"
}

# ---- Modules ----

# load MODULE [PARAM=VALUE...]: unloaded in the end
load()
{
	modprobe "$@"
	at_exit unload "$1"
}

loaded() { [[ -e /sys/module/$1/initstate ]]; }

# unload MODULE...: nothing to do for one that isn't loaded
unload()
{
	local m

	for m; do
		! loaded "$m" || modprobe -r "$m" || return
	done
}

# ---- Persistent memory ----

# All namespaces that have a size (not the empty seeds)
ns_list()
{
	local d

	for d in "$ND"/devices/namespace*; do
		[[ -e $d/size && $(<"$d/size") != 0 ]] && echo "${d##*/}"
	done
	return 0
}

# ns_driver NAMESPACE: name of its driver, or nothing
ns_driver()
{
	[[ ! -e $ND/devices/$1/driver ]] || basename "$(readlink "$ND/devices/$1/driver")"
}

# ns_bind NAMESPACE DRIVER
ns_bind()
{
	_write "$ND/drivers/$2/bind" "$1"
}

# ns_unbind NAMESPACE: from whatever driver it has
ns_unbind()
{
	local drv

	drv=$(ns_driver "$1")
	[[ -n $drv ]] || fail "$1 has no driver"
	_write "$ND/drivers/$drv/unbind" "$1"
}

# ---- Control groups ----

# cg_new NAME: makes a cgroup with the memory controller, sets CG to its directory
cg_new()
{
	echo +memory >"$CG_ROOT/cgroup.subtree_control"
	CG=$CG_ROOT/ktap-$1
	mkdir "$CG"
	at_exit cg_remove "$CG"
}

# cg_run DIRECTORY CMD [ARG...]: run CMD there
cg_run()
{
	local dir=$1

	shift
	( echo "$BASHPID" >"$dir/cgroup.procs" && exec "$@" )
}

cg_empty() { grep -q '^populated 0' "$1/cgroup.events"; }

cg_remove()
{
	[[ -d $1 ]] || return 0
	echo 1 >"$1/cgroup.kill"
	loop_until 30 cg_empty "$1" && rmdir "$1"
}
