#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# The guest's kernel: finds the image and its modules, makes the module image and the initramfs.

# Directories under kernel/ of a module tree that a guest may want
MODULE_DIRS=(
	arch block crypto fs kernel lib mm
	drivers/{acpi,base,block,char,cxl,dax,dma,firmware,md,nvdimm,nvme,scsi,virtio}
	drivers/infiniband/{core,sw} net/ipv{4,6}
)
# What it takes to mount the guest's root
BOOT_MODULES=(virtio_pci virtio_blk virtio_console ext4 crc32c overlay)

# The version string inside a bzImage (boot protocol: offset at 0x20e, from 0x200)
image_version()
{
	local off

	off=$(od -An -tu2 -j 526 -N 2 "$1") || return
	dd if="$1" bs=1 skip=$((off + 512)) count=128 status=none |
		tr '\0' '\n' | head -n 1 | cut -d ' ' -f 1
}

# Unpacks the image package of kernel $1 into the cache, unless it is installed.
# Sets K_IMG and K_TREE.
find_kernel()
{
	local ver=$1 dir=$CACHE/linux-image-$1

	K_IMG=/boot/vmlinuz-$ver K_TREE=/lib/modules/$ver
	if [[ ! -r $K_IMG || ! -e $K_TREE/modules.dep ]]; then
		K_IMG=$dir/boot/vmlinuz-$ver K_TREE=$dir/lib/modules/$ver
		[[ -d $K_TREE ]] || K_TREE=$dir/usr/lib/modules/$ver
		[[ -r $K_IMG ]] || with_lock fetch_kernel "$ver" "$dir" || return
		[[ -d $K_TREE ]] || K_TREE=$dir/usr/lib/modules/$ver
	fi
}

fetch_kernel()
{
	local ver=$1 dir=$2 tmp pkg

	[[ ! -d $dir ]] || return 0
	tmp=$(mktemp -d "$CACHE/fetch.XXXXXX") || return
	for pkg in "linux-image-$ver" "linux-image-$ver-unsigned"; do
		note "fetching $pkg (unpacked in the cache, not installed)"
		apt_download "$tmp" "$pkg" && break
	done
	if dpkg -x "$tmp"/*.deb "$tmp/root"; then
		mv "$tmp/root" "$dir"
	fi
	rm -rf "$tmp"
	[[ -d $dir ]]
}

# The part of module tree $1 that guests want, uncompressed, under $2/lib/modules/$3
copy_modules()
{
	local dst=$2/usr/lib/modules/$3 d

	mkdir -p "$dst/kernel" && ln -s usr/lib "$2/lib"
	for d in "${MODULE_DIRS[@]}"; do
		mkdir -p "$(dirname "$dst/kernel/$d")"
		[[ ! -d $1/kernel/$d ]] || cp -r "$1/kernel/$d" "$dst/kernel/$d"
	done
	cp "$1"/modules.{order,builtin,builtin.modinfo} "$dst/"
	find "$dst" -name '*.ko.xz' -print0 | xargs -0r -P 4 -n 64 xz -dq
	find "$dst" -name '*.ko.zst' -print0 | xargs -0r -P 4 -n 64 zstd -dq --rm
	find "$dst" -name '*.ko.gz' -print0 | xargs -0r -P 4 -n 64 gzip -dq
	find "$dst" -name '*.ko' -size +1M -print0 | xargs -0r strip --strip-debug
	depmod -b "$2" "$3"
}

build_initramfs()
{
	local tree=$1 ver=$2 out=$3 m p root

	root=$(mktemp -d "$CACHE/initramfs.XXXXXX")
	mkdir -p "$root"/{bin,dev,proc,sys,l,new,modules}
	cp "$(command -v busybox)" "$root/bin/busybox"
	cp "$VM_DIR/guest/init" "$root/init"
	chmod 755 "$root/init"
	for m in "${BOOT_MODULES[@]}"; do
		modprobe -C /dev/null -d "$tree" -S "$ver" --show-depends "$m"
	done | awk '$1 == "insmod" && !seen[$2]++ { print $2 }' | while read -r p; do
		cp "$p" "$root/modules/"
		basename "$p"
	done >"$root/modules.list"
	(cd "$root" && find . -print0 | LC_ALL=C sort -z |
		cpio --quiet -0 -o -R 0:0 -H newc) >"$out"
	rm -rf "$root"
}

build_kernel_images()
{
	local dir=$1 tmp

	[[ ! -d $dir ]] || return 0
	tmp=$(mktemp -d "$CACHE/kernel.XXXXXX") || return
	note "preparing kernel $K_VER, once"
	copy_modules "$K_TREE" "$tmp/tree" "$K_VER" &&
		image_from_dir "$tmp/tree" "$tmp/modules.ext4" 4 &&
		build_initramfs "$tmp/tree" "$K_VER" "$tmp/initramfs" &&
		mv "$tmp" "$dir"
	rm -rf "$tmp"
	[[ -d $dir ]]
}

# kernel_prepare [IMAGE [TREE]]: sets K_IMG, K_VER, K_TREE (the trimmed tree's root),
# K_MODIMG and K_INITRD.
# shellcheck disable=SC2034 # for boot.sh
kernel_prepare()
{
	local key dir kdir

	if [[ -n ${1:-} ]]; then
		K_IMG=$1
		[[ -r $K_IMG ]] || die "can't read the kernel image $K_IMG"
		K_VER=$(image_version "$K_IMG")
		K_TREE=${2:-/lib/modules/$K_VER}
	else
		kdir=${KDIR:-$("$VM_DIR/kdir")} || die 'no kernel headers: run "make setup"'
		K_VER=$(cat "$kdir/include/config/kernel.release") ||
			die "$kdir is not a kernel build directory"
		find_kernel "$K_VER" || die "there is no kernel image for $K_VER"
	fi
	[[ -e $K_TREE/modules.builtin ]] || die "$K_TREE is no module tree (of kernel $K_VER)"
	key=$({ stat -Lc '%n %Y %s' "$K_IMG" "$K_TREE/modules.builtin"
		cat "$VM_DIR/kernel.sh" "$VM_DIR/guest/init"; } | sha256sum | cut -c1-10)
	dir=$CACHE/kernel-$K_VER-$key
	[[ -d $dir ]] || with_lock build_kernel_images "$dir" || exit 125
	use kernel "$dir"
	K_TREE=$dir/tree K_MODIMG=$dir/modules.ext4 K_INITRD=$dir/initramfs
}
