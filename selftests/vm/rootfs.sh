#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# The guest's userland: an ext4 image of Debian's own tools, of the host's suite, made once.

GUEST_PACKAGES=(
	bash coreutils findutils gawk grep kmod mount procps sed tar util-linux
	btrfs-progs cryptsetup-bin dmsetup dosfstools e2fsprogs fdisk gdisk lvm2 xfsprogs
	bcache-tools daxctl fio ndctl numactl stress-ng trace-cmd
)

# The host's own apt sources, but only those that offer Debian itself.
debian_sources()
{
	local file line

	# shellcheck disable=SC2016 # apt expands it
	apt-get indextargets --format '$(SOURCESENTRY)' \
		'Created-By: Packages' 'Origin: Debian' | sort -u |
	while IFS=: read -r file line; do
		case $file in
		*.sources)	printf '%s\n' "$file" ;;
		*)		sed -n "${line}p" "$file" >>"$1/debian.list" ;;
		esac
	done | sort -u
	[[ ! -s $1/debian.list ]] || printf '%s\n' "$1/debian.list"
}

# image_from_dir DIR IMAGE SPARE_MIB: an ext4 image, without mounting anything
image_from_dir()
{
	local mib inodes

	mib=$(du -sm --apparent-size "$1" | cut -f1)
	inodes=$(find "$1" | wc -l)
	mke2fs -q -F -t ext4 -m 0 -N $((inodes + inodes / 4 + 256)) -E root_owner=0:0 \
		-O ^has_journal,^resize_inode -d "$1" \
		"$2" "$((mib + mib / 8 + $3))M" >/dev/null
}

build_rootfs()
{
	local img=$1 suite=$2 tmp fake='' become='' sources include rc=0

	[[ ! -e $img ]] || return 0
	tmp=$(mktemp -d "$CACHE/root.XXXXXX") || return 1
	note "building the guest's userland ($suite), once"
	if (( EUID != 0 )); then
		fake=fakeroot
		# mmdebstrap needs a user namespace, or else root
		unshare -U -r true 2>/dev/null || become=as_root
	fi
	mapfile -t sources < <(debian_sources "$tmp")
	(( ${#sources[@]} )) || { note 'apt has no Debian sources'; rc=1; }
	apt-config dump | grep -i '^Acquire::[a-z]*::proxy' >"$tmp/apt.conf"
	echo 'APT::Install-Recommends "false";' >>"$tmp/apt.conf"
	include=$(IFS=,; echo "${GUEST_PACKAGES[*]}")
	(( rc )) || $become mmdebstrap --variant=apt --include="$include" \
		--aptopt="$tmp/apt.conf" \
		--dpkgopt='path-exclude=/usr/share/doc/*' \
		--dpkgopt='path-exclude=/usr/share/man/*' \
		--dpkgopt='path-exclude=/usr/share/info/*' \
		--dpkgopt='path-exclude=/usr/share/locale/*' \
		"$suite" "$tmp/root.tar" "${sources[@]}" >"$tmp/log" 2>&1 || rc=1
	# shellcheck disable=SC2016 # expanded by the inner shell
	(( rc )) || $fake bash -c '. "$1/rootfs.sh" && mkdir "$2/root" &&
		tar -C "$2/root" --exclude="./dev/*" -xf "$2/root.tar" &&
		mkdir -p "$2/root/payload" "$2/root/results" &&
		rm -f "$2/root/etc/modprobe.d/"* &&
		image_from_dir "$2/root" "$2/img" 16' - "$VM_DIR" "$tmp" || rc=1
	if (( rc )); then
		tail -n 20 "$tmp/log" >&2
		note "the guest's userland could not be built"
	else
		mv "$tmp/img" "$img"
	fi
	rm -rf "$tmp"
	return "$rc"
}

# Sets ROOT_IMG.
rootfs_prepare()
{
	local suite key

	suite=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
	[[ -n $suite ]] || die 'this host is not a Debian release (no VERSION_CODENAME)'
	key=$(cat "$VM_DIR/rootfs.sh" <(echo "$suite") | sha256sum | cut -c1-10)
	ROOT_IMG=$CACHE/root-$suite-$key.ext4
	[[ -e $ROOT_IMG ]] || with_lock build_rootfs "$ROOT_IMG" "$suite" || exit 125
	use root "$ROOT_IMG"
}
