#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# vm: --mem 1G --nvdimm 512M --nvdimm 256M
# timeout: 900
# A namespace that carries somebody's data is refused, left as it was, and taken with force=1 only.

# shellcheck source-path=SCRIPTDIR
# shellcheck disable=SC2317 # cases_done calls them
. "$(dirname "$0")/../lib/pmemswap.sh"

need_namespaces 2
VICTIM=$SMALL OTHER=$BIG

# poke OFFSET BYTES: BYTES as printf takes them; a negative offset counts from the end of $RAW
poke()
{
	local at=$1

	(( at >= 0 )) || at=$(( $(ns_bytes "$VICTIM") + at ))
	# shellcheck disable=SC2059 # the bytes are a format
	printf "$2" | dd of="$RAW" bs=1 seek="$at" conv=notrunc,fsync status=none
}

sum_of_raw()
{
	raw_on "$1"
	"$PROGS/blkdata" sum "$RAW"
	raw_off "$1"
}

# Of the guard areas and a little more
sum_of_ends()
{
	local pages

	pages=$(ns_pages "$VICTIM")
	"$PROGS/blkdata" sum "$RAW" 0 $((GUARD_PAGES * 2))
	"$PROGS/blkdata" sum "$RAW" $((pages - GUARD_PAGES * 2)) $((GUARD_PAGES * 2))
}

found_on() { blkid -p -o value -s TYPE -s PTTYPE "$1" || :; }

# refused WHAT: $VICTIM is refused by bind, and every byte of it stays
refused()
{
	local before

	before=$(sum_of_raw "$VICTIM")
	log_mark
	same "bind: $1" "$(tier_bind "$VICTIM")" EEXIST
	is_free "$VICTIM"
	log_has "$VICTIM: refused"
	same "data after the refusal: $1" "$(sum_of_raw "$VICTIM")" "$before"
}

# At load time: the one with data is left out, the other is taken
skipped_at_load()
{
	local before

	unload pmemswap pmem_tier
	before=$(sum_of_raw "$VICTIM")
	log_mark
	load_modules claim=all
	is_held "$OTHER"
	is_free "$VICTIM"
	log_has "$VICTIM: refused"
	same "data after claim=all: $1" "$(sum_of_raw "$VICTIM")" "$before"
	unload pmemswap pmem_tier
	load_modules claim="$VICTIM"
	is_free "$VICTIM"
	same "data after claim=NAME: $1" "$(sum_of_raw "$VICTIM")" "$before"
}

# force=1 takes it, and nobody finds the old signature afterwards
forced()
{
	unload pmemswap pmem_tier
	log_mark
	use "$VICTIM" force=1
	log_has "$VICTIM.*(force|lost|overw)"
	"$PROGS/blkdata" write "/dev/$DEV" 0 100 3
	unload pmemswap pmem_tier
	raw_on "$VICTIM"
	same "blkid after force: $1" "$(found_on "$RAW")" ''
	same "wipefs after force: $1" "$(wipefs -n -p "$RAW")" ''
	raw_off "$VICTIM"
	use "$VICTIM"
	unload pmemswap pmem_tier
}

# Real ones by their own tools, among other data. by_tool NAME PROGRAM COMMAND...
by_tool()
{
	local what=$1

	need "$2"
	shift 2
	raw_on "$VICTIM"
	wipe_raw "$VICTIM"
	"$PROGS/blkdata" write "$RAW" $GUARD_PAGES 20000 9 mixed
	"$@" "$RAW"
	raw_off "$VICTIM"
	load_modules
	refused "$what"
	[[ $what != ext4fs ]] || skipped_at_load "$what"
	if [[ $what == *fs* ]]; then
		raw_on "$VICTIM"
		mkdir -p $MNT
		mount "$RAW" $MNT
		umount $MNT
		raw_off "$VICTIM"
	fi
	forced "$what"
}

luks()
{
	echo secret | cryptsetup luksFormat -q --type "$1" --pbkdf pbkdf2 \
		--pbkdf-force-iterations 1000 "$2" -
}

dos_table() { echo ',,83' | sfdisk -q "$1"; }

# xfs wants 300 MB
by_tool_on_big()
{
	VICTIM=$BIG OTHER=$SMALL
	by_tool "$@"
}

# BTT, fsdax and devdax by ndctl: in use, and then only on the media
by_ndctl()
{
	local mode=$1 got

	need ndctl
	wipe_namespace "$VICTIM"
	load_nd_pmem
	modprobe -qa dax_pmem device_dax || :
	ndctl create-namespace -f -e "$VICTIM" -m "$mode"
	at_exit ndctl destroy-namespace -f "$VICTIM"
	load_modules
	got=$(tier_bind "$VICTIM")
	[[ $got == EBUSY || $got == EEXIST ]] || fail "bind while it is in use as $mode: $got"
	is_free "$VICTIM"
	ndctl disable-namespace "$VICTIM"
	refused "$mode"
	[[ $mode != sector ]] || skipped_at_load "$mode"
	echo "nd_pmem: $(pmem_bind "$VICTIM")"
	same "holder" "$(ns_holder "$VICTIM" | tr -d 0-9.)" "$2"
	ndctl disable-namespace "$VICTIM"
	forced "$mode"
	wipe_namespace "$VICTIM"
}

# Others by their magic bytes, each alone on an otherwise empty namespace
MAGIC=(
	'LVM2'		512	'LABELONE\001\000\000\000\000\000\000\000\000\000\000\000\040\000\000\000LVM2 001'
	'LVM2, sector 3' 1536	'LABELONE\003\000\000\000\000\000\000\000\000\000\000\000\040\000\000\000LVM2 001'
	'LUKS1'		0	'LUKS\272\276\000\001'
	'LUKS2'		0	'LUKS\272\276\000\002'
	'LUKS2 second header' 16384 'SKUL\272\276\000\002'
	'MD 1.1'	0	'\374\116\053\251\001\000\000\000'
	'MD 1.2'	4096	'\374\116\053\251\001\000\000\000'
	'MD 1.0'	-8192	'\374\116\053\251\001\000\000\000'
	'MD 0.90'	-65536	'\374\116\053\251\000\000\000\000'
	'GPT'		512	'EFI PART\000\000\001\000\134\000\000\000'
	'GPT backup'	-512	'EFI PART\000\000\001\000\134\000\000\000'
	'MBR'		510	'\125\252'
	'f2fs'		1024	'\020\040\365\362'
	'bcache'	4120	'\306\205\163\366\116\032\105\312\202\145\365\177\110\272\155\201'
	'dm-writecache'	0	'\041\223\110\043'
	'btrfs'		65600	'_BHRfS_M'
	'ocfs2'		8192	'OCFSV2'
	'iso9660'	32769	'CD001'
	'ntfs'		3	'NTFS    '
	'exfat'		3	'EXFAT   '
	'squashfs'	0	'hsqs'
	'hibernation'	4086	'S1SUSPEND'
	'ZFS uberblock'	131072	'\014\261\272\000\000\000\000\000'
	'BTT 1'		0	'BTT_ARENA_INFO\000\000'
	'BTT 2'		4096	'BTT_ARENA_INFO\000\000'
	'pfn'		4096	'NVDIMM_PFN_INFO\000'
	'dax'		4096	'NVDIMM_DAX_INFO\000'
)

magic_bytes()
{
	local i sum

	load_modules claim="$OTHER"
	for (( i = 0; i < ${#MAGIC[@]}; i += 3 )); do
		raw_on "$VICTIM"
		wipe_raw "$VICTIM"
		poke "${MAGIC[i + 1]}" "${MAGIC[i + 2]}"
		sum=$(sum_of_ends)
		raw_off "$VICTIM"
		log_mark
		same "bind: ${MAGIC[i]}" "$(tier_bind "$VICTIM")" EEXIST
		is_free "$VICTIM"
		log_has "$VICTIM: refused"
		raw_on "$VICTIM"
		same "data: ${MAGIC[i]}" "$(sum_of_ends)" "$sum"
	done
	wipe_raw "$VICTIM"
	raw_off "$VICTIM"
	same "bind when the last is wiped" "$(tier_bind "$VICTIM")" 0
}

# No signature, and not nothing: data in the middle is no reason to refuse, nor does it show
no_signature()
{
	raw_on "$VICTIM"
	wipe_raw "$VICTIM"
	"$PROGS/blkdata" write "$RAW" $GUARD_PAGES 1000 4
	raw_off "$VICTIM"
	load_modules claim=all
	is_held "$VICTIM"
	"$PROGS/blkdata" zeros "/dev/$(dev_of "$VICTIM")" 1 2000
}

# What a user of the swap device puts on it must not look like a signature of the namespace
own_data()
{
	need mkfs.ext4
	wipe_namespace "$VICTIM"
	use "$VICTIM"
	"$PROGS/blkdata" write "/dev/$DEV" 0 "$(stat_of "$DEV" slots_total)" 4
	mkfs.ext4 -q -F -E nodiscard "/dev/$DEV"
	same "blkid of the device" "$(found_on "/dev/$DEV")" ext4
	unload pmemswap pmem_tier
	raw_on "$VICTIM"
	same "blkid of the namespace" "$(found_on "$RAW")" ''
	raw_off "$VICTIM"
	use "$VICTIM"
}

case_ "ext4" by_tool ext4fs mkfs.ext4 mkfs.ext4 -q -F
case_ "xfs" by_tool_on_big xfs mkfs.xfs mkfs.xfs -q -f
case_ "btrfs" by_tool btrfs mkfs.btrfs mkfs.btrfs -q -f
case_ "FAT" by_tool fatfs mkfs.vfat mkfs.vfat
case_ "a swap partition" by_tool swap mkswap mkswap
case_ "a physical volume of LVM" by_tool LVM2 pvcreate pvcreate -qq -ffy
case_ "LUKS1" by_tool LUKS1 cryptsetup luks luks1
case_ "LUKS2" by_tool LUKS2 cryptsetup luks luks2
case_ "a GPT" by_tool GPT sgdisk sgdisk -n 1:0:0
case_ "a DOS partition table" by_tool MBR sfdisk dos_table
case_ "BTT made by ndctl" by_ndctl sector btt
case_ "fsdax made by ndctl" by_ndctl fsdax pfn
case_ "devdax made by ndctl" by_ndctl devdax dax
case_ "volume managers, encryption, RAID, partition tables, by their magic" magic_bytes
case_ "a namespace without any is taken" no_signature
case_ "contents of the swap device are no signature of the namespace" own_data
cases_done
