#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# What the host-side scripts share: paths, messages, root rights, the lock on the cache.
# shellcheck disable=SC2034 # for who sources it

TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
CACHE=$(realpath -m "${PMEMSWAP_CACHE:-$TOP/build/vm}")
VM_DIR=$TOP/selftests/vm

note() { printf 'vm: %s\n' "$*" >&2; }

die()
{
	note "$*"
	exit 125
}

as_root()
{
	if (( EUID == 0 )); then
		"$@"
	else
		command -v sudo >/dev/null || die "root is needed for: $* (and sudo is not installed)"
		sudo "$@"
	fi
}

# apt_download DIRECTORY PACKAGE...: fetch, don't install
apt_download()
{
	(cd "$1" && shift && apt-get -q -o APT::Sandbox::User=root download "$@" >&2)
}

# Marks a cached image as used, and drops its like that nobody has used for days: use KIND FILE
use()
{
	touch "$2"
	find "$CACHE" -maxdepth 1 -name "$1-*" -mtime +3 -exec rm -rf {} +
}

# The tools for disk images live in sbin, which isn't in an ordinary user's PATH
PATH=$PATH:/usr/sbin:/sbin

# One builder at a time: with_lock FUNCTION ARGS...
with_lock()
{
	local fd rc=0

	mkdir -p "$CACHE" || die "can't create $CACHE"
	exec {fd}>"$CACHE/.lock"
	flock "$fd"
	"$@" {fd}>&- || rc=$?
	exec {fd}>&-
	return "$rc"
}
