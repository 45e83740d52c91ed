#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Installs, by apt, what it takes to build and to boot; does nothing when all is there.

# The names hold for Debian 12 and 13
BASE_PACKAGES=(
	binutils busybox-static cpio e2fsprogs gcc kmod libc6-dev make
	mmdebstrap qemu-system-x86 util-linux xz-utils
)
LINT_PACKAGES=(codespell perl shellcheck sparse)
# Nice to have: only a note without them
BENCH_PACKAGES=(gnuplot-nox)

missing_packages()
{
	local pkg

	for pkg; do
		[[ $(dpkg-query -W -f '${db:Status-Status}' "$pkg" 2>/dev/null) == installed ]] ||
			printf '%s\n' "$pkg"
	done
}

# The newest 6.12 headers that apt offers: their version
newest_headers()
{
	apt-cache pkgnames linux-headers-6.12 |
		sed -n 's/^linux-headers-\(6\.12\.[0-9].*-amd64\)$/\1/p' |
		grep -Ev -- '-(rt|cloud)-amd64$' | sort -V | tail -n 1
}

# Debian's headers depend on their kernel image, which would become the one that the machine boots.
# So unless it runs that kernel anyway, its headers go to the cache instead.
get_headers()
{
	local ver

	ver=$(uname -r)
	if [[ $ver == 6.12.* ]] && apt-cache show "linux-headers-$ver" >/dev/null 2>&1; then
		note "installing linux-headers-$ver"
		apt_install "linux-headers-$ver"
		return
	fi
	ver=$(newest_headers)
	if [[ -z $ver ]]; then
		note 'apt offers no linux-headers-6.12*-amd64; does it know the security updates?'
		return 1
	fi
	with_lock unpack_headers "$ver" "$CACHE/headers-$ver"
}

unpack_headers()
{
	local ver=$1 dir=$2 base=${1%-amd64} tmp cc deb

	[[ ! -d $dir ]] || return 0
	note "fetching the headers of kernel $ver (unpacked in the cache, not installed)"
	cc=$(apt-cache show "linux-headers-$ver" | grep -m 1 '^Depends:' | grep -Eo 'gcc-[0-9]+') &&
		apt_install "linux-kbuild-$base" "$cc" || return
	tmp=$(mktemp -d "$CACHE/fetch.XXXXXX") || return
	if apt_download "$tmp" "linux-headers-$ver" "linux-headers-$base-common"; then
		for deb in "$tmp"/*.deb; do
			dpkg -x "$deb" "$tmp/root"
		done
		for deb in "$tmp"/root/usr/src/*; do
			ln -sfn "/usr/lib/linux-kbuild-$base/scripts" "$deb/scripts"
			ln -sfn "/usr/lib/linux-kbuild-$base/tools" "$deb/tools"
		done
		echo "include $dir/linux-headers-$base-common/Makefile" \
			>"$tmp/root/usr/src/linux-headers-$ver/Makefile"
		mv "$tmp/root/usr/src" "$dir"
	fi
	rm -rf "$tmp"
	[[ -d $dir ]]
}

apt_update()
{
	as_root apt-get -q update >&2
}

# The package lists may never have been fetched, or be too old to be of use
lists_are_fresh()
{
	compgen -G '/var/lib/apt/lists/*_Packages*' >/dev/null &&
		[[ -n $(find /var/lib/apt/lists -maxdepth 0 -mtime -2) ]]
}

apt_install()
{
	as_root env DEBIAN_FRONTEND=noninteractive \
		apt-get -q install -y --no-install-recommends "$@" >&2
}

# Are there headers to build against, and the image to boot?
have_kernel()
{
	local kdir

	kdir=$("$VM_DIR/kdir") &&
		find_kernel "$(cat "$kdir/include/config/kernel.release")" 2>/dev/null
}

optional_packages()
{
	local missing

	mapfile -t missing < <(missing_packages "$@")
	(( ${#missing[@]} )) || return 0
	note "installing ${missing[*]}"
	# A subshell: without root rights it would end everything
	( lists_are_fresh || apt_update; apt_install "${missing[@]}" ) ||
		note "could not install ${missing[*]}: going on without"
}

setup()
{
	local want=("${BASE_PACKAGES[@]}") missing updated=''

	command -v apt-get >/dev/null || die 'setup needs apt: a Debian 12 or 13 machine'
	(( EUID == 0 )) || want+=(fakeroot uidmap)
	[[ ${1:-} != lint ]] || want+=("${LINT_PACKAGES[@]}")

	mapfile -t missing < <(missing_packages "${want[@]}")
	if (( ${#missing[@]} )) || ! "$VM_DIR/kdir" >/dev/null; then
		lists_are_fresh || { apt_update && updated=1; }
	fi
	if (( ${#missing[@]} )); then
		note "installing ${missing[*]}"
		apt_install "${missing[@]}" ||
			{ [[ -z $updated ]] && apt_update && updated=1 && apt_install "${missing[@]}"; } ||
			die "apt could not install: ${missing[*]}"
	fi

	[[ ${1:-} != bench ]] || optional_packages "${BENCH_PACKAGES[@]}"

	get_qemu
	have_kernel && return
	[[ -n $updated ]] || apt_update
	{ get_headers && have_kernel; } || die 'there is no 6.12 kernel to build against and to boot'
}
