#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# shellcheck disable=SC2034 # for who sources it
# Which QEMU runs the guests: Debian 12's own loses a race of emulated CPUs, that of its backports doesn't.

# QEMU before 8.1, without KVM, can run a stale translation of kernel code that another CPU has
# just patched: the guest dies of a breakpoint that isn't there any more.
qemu_is_old()
{
	local major minor

	IFS=' .' read -r _ _ _ major minor _ < <("$1" --version)
	(( major < 8 || (major == 8 && minor < 1) ))
}

# Did the run in directory $1 end by a fault of the emulator? The one above, or an assertion of its own: while the
# guest sets up PCI, one emulated CPU may use a map of memory that another has just replaced
# (gitlab.com/qemu-project/qemu/-/issues/1921, seen with 10.0).
emulator_lost()
{
	grep -q '^qemu-system-.*: Assertion .* failed' "$1/qemu.log" 2>/dev/null && return
	find_qemu
	grep -q 'Oops: int3' "$1/console.log" 2>/dev/null && qemu_is_old "${emulator[0]}"
}

qemu_dir() { (. /etc/os-release && echo "$CACHE/qemu-${VERSION_CODENAME:-none}"); }

# Sets the array emulator: the program and where it finds its firmware. QEMU in the environment is another program.
find_qemu()
{
	local dir

	dir=$(qemu_dir)
	emulator=("${QEMU:-qemu-system-x86_64}")
	[[ -z ${QEMU:-} ]] || return 0
	[[ ! -x $dir/usr/bin/qemu-system-x86_64 ]] ||
		emulator=("$dir/usr/bin/qemu-system-x86_64" -L "$dir/usr/share/qemu" -L "$dir/usr/share/seabios")
}

# The CPU that QEMU emulates. Instructions that repeat a byte at a time are slow there, and each byte counts
# as one: the kernel shall not take them for fast. (fsrs: not all versions have it)
tcg_cpu()
{
	local cpu=max,-erms,-fsrm

	! "${emulator[@]}" -cpu help | grep -qw fsrs || cpu+=,-fsrs
	echo "$cpu"
}

# Installing from backports would change the machine: this goes to the cache. The libraries are
# those of the QEMU that is installed. Without it things work, but for that race.
get_qemu()
{
	local dir

	dir=$(qemu_dir)
	if [[ -d $dir ]] || ! qemu_is_old qemu-system-x86_64; then
		return 0
	fi
	with_lock fetch_qemu "$dir" || note 'there is no newer QEMU to be had, so the installed one has to do'
}

fetch_qemu()
{
	local dir=$1 suite=${1##*/qemu-} tmp uri deb rc=0
	local -a apt

	[[ ! -d $dir ]] || return 0
	# shellcheck disable=SC2016 # apt expands it
	uri=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' \
		"Codename: $suite" | head -n 1)
	tmp=$(mktemp -d "$CACHE/fetch.XXXXXX") || return
	mkdir -p "$tmp"/{state/lists/partial,cache/archives/partial,deb,root}
	echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $uri $suite-backports main" \
		>"$tmp/sources.list"
	apt=(-q -o "Dir::State=$tmp/state" -o "Dir::State::status=/var/lib/dpkg/status"
		-o "Dir::Cache=$tmp/cache" -o "Dir::Etc::SourceList=$tmp/sources.list"
		-o Dir::Etc::SourceParts=/dev/null -o Dir::Etc::Preferences=/dev/null
		-o Dir::Etc::PreferencesParts=/dev/null -o APT::Sandbox::User=root)
	note "fetching QEMU of $suite-backports (unpacked in the cache, not installed)"
	{ apt-get "${apt[@]}" update &&
		cd "$tmp/deb" &&
		apt-get "${apt[@]}" -t "$suite-backports" download \
			qemu-system-{x86,common,data} seabios &&
		cd - >/dev/null; } >&2 || rc=1
	for deb in "$tmp"/deb/*.deb; do
		(( rc )) || dpkg -x "$deb" "$tmp/root" || rc=1
	done
	if (( ! rc )) && "$tmp/root/usr/bin/qemu-system-x86_64" --version >/dev/null &&
	   ! qemu_is_old "$tmp/root/usr/bin/qemu-system-x86_64"; then
		mv "$tmp/root" "$dir"
	fi
	rm -rf "$tmp"
	[[ -d $dir ]]
}
