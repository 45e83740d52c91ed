// SPDX-License-Identifier: GPL-2.0-only
/*
 * What is already on a namespace? Signatures of other software.
 *
 * Offsets and magic values are those of the on-disk formats, as the Linux
 * kernel's headers and libblkid document them.
 */

#include <linux/array_size.h>
#include <linux/string.h>

#include "signature.h"

/**
 * struct signature - one magic value at one place
 * @name: what it belongs to, for the operator
 * @offset: where it stands: from the beginning, or when negative from the end
 * @len: bytes of @magic
 * @magic: the value as it lies on the media
 * @stride: distance of further places where it may stand instead
 * @count: number of places, 0 meaning 1
 */
struct signature {
	const char *name;
	int offset;
	unsigned int len;
	const char *magic;
	unsigned int stride;
	unsigned int count;
};

#define SIG(_name, _offset, _magic) \
	{ .name = _name, .offset = _offset, .magic = _magic, \
	  .len = sizeof(_magic) - 1 }
#define SIG_REPEAT(_name, _offset, _magic, _stride, _count) \
	{ .name = _name, .offset = _offset, .magic = _magic, \
	  .len = sizeof(_magic) - 1, .stride = _stride, .count = _count }

static const struct signature signatures[] = {
	/* libnvdimm: BTT v2 and v1 info blocks, the backup, pfn and dax */
	SIG_REPEAT("BTT", 0, "BTT_ARENA_INFO\0\0", 4096, 2),
	SIG("BTT backup", -4096, "BTT_ARENA_INFO\0\0"),
	SIG("pfn (fsdax)", 4096, "NVDIMM_PFN_INFO\0"),
	SIG("dax (devdax)", 4096, "NVDIMM_DAX_INFO\0"),

	/* Filesystems */
	SIG("ext2/3/4", 0x438, "\x53\xef"),
	SIG("xfs", 0, "XFSB"),
	SIG("xfs log", 0, "\xfe\xed\xba\xbe"),
	SIG("btrfs", 0x10040, "_BHRfS_M"),
	SIG("f2fs", 0x400, "\x10\x20\xf5\xf2"),
	SIG("erofs", 0x400, "\xe2\xe1\xf5\xe0"),
	SIG("squashfs", 0, "hsqs"),
	SIG("NOVA", 4, "AVON"),
	SIG("nilfs2", 0x406, "\x34\x34"),
	SIG("reiserfs", 0x10034, "ReIsEr"),
	SIG("reiserfs", 0x2034, "ReIsEr"),
	SIG("jfs", 0x8000, "JFS1"),
	SIG("gfs2", 0x10000, "\x01\x16\x19\x70"),
	SIG_REPEAT("ocfs2", 0x400, "OCFSV2", 0x400, 8),
	SIG("apfs", 32, "NXSB"),
	SIG("hfs+", 0x400, "H+"),
	SIG("hfsx", 0x400, "HX"),
	SIG("iso9660", 0x8001, "CD001"),
	SIG("udf", 0x8001, "BEA01"),
	SIG("ufs1", 0x255c, "\x54\x19\x01\x00"),
	SIG("ufs2", 0x1055c, "\x19\x01\x54\x19"),
	SIG("ntfs", 3, "NTFS    "),
	SIG("exfat", 3, "EXFAT   "),
	SIG("bitlocker", 3, "-FVE-FS-"),
	SIG("minix", 0x410, "\x7f\x13"),
	SIG("minix", 0x410, "\x8f\x13"),
	SIG("minix", 0x410, "\x68\x24"),
	SIG("minix", 0x410, "\x78\x24"),
	SIG("minix3", 0x418, "\x5a\x4d"),
	SIG_REPEAT("zfs", 0x20000, "\x0c\xb1\xba\0\0\0\0\0", 1024, 128),
	SIG_REPEAT("zfs", -0x20000, "\x0c\xb1\xba\0\0\0\0\0", 1024, 128),
	SIG("bluestore", 0, "bluestore block device"),
	SIG("Oracle ASM", 32, "ORCLDISK"),

	/* Volume managers, encryption, caches */
	SIG_REPEAT("LVM2", 0, "LABELONE", 512, 4),
	SIG("LUKS", 0, "LUKS\xba\xbe"),
	SIG("LUKS2 backup", 0x4000, "SKUL\xba\xbe"),
	SIG("md 1.1", 0, "\xfc\x4e\x2b\xa9"),
	SIG("md 1.2", 4096, "\xfc\x4e\x2b\xa9"),
	SIG("md 1.0", -8192, "\xfc\x4e\x2b\xa9"),
	SIG("md 0.90", -65536, "\xfc\x4e\x2b\xa9"),
	SIG("DDF RAID", -512, "\xde\x11\xde\x11"),
	SIG("IMSM RAID", -1024, "Intel Raid ISM Cfg Sig. "),
	SIG("bcache/bcachefs", 0x1018,
	    "\xc6\x85\x73\xf6\x4e\x1a\x45\xca\x82\x65\xf5\x7f\x48\xba\x6d\x81"),
	SIG("bcachefs", 0x1018,
	    "\xc6\x85\x73\xf6\x66\xce\x90\xa9\xd9\x6a\x60\xcf\x80\x3d\xf7\xef"),
	SIG("dm-integrity", 0, "integrt"),
	SIG("dm-verity", 0, "verity\0\0"),
	SIG("dm-writecache", 0, "\x21\x93\x48\x23"),
	SIG("dm-cache", 32, "\x03\xc4\x18\0\0\0\0\0"),
	SIG("dm-thin", 32, "\xba\x52\x9c\x01\0\0\0\0"),
	SIG("dm-snapshot", 0, "SnAp"),
	SIG("vdo", 0, "dmvdo001"),
	SIG("stratis", 516, "!Stra0tis\x86\xff\x02^\x41rh"),

	/* Swap and hibernation images, for the page sizes Linux runs with */
	SIG_REPEAT("swap", 4096 - 10, "SWAPSPACE2", 4096, 4),
	SIG("swap (64K pages)", 65536 - 10, "SWAPSPACE2"),
	SIG("swap v0", 4096 - 10, "SWAP-SPACE"),
	SIG("hibernation image", 4096 - 10, "S1SUSPEND"),
	SIG("hibernation image", 4096 - 10, "LINHIB0001"),

	/* Partition tables; the boot sector mark also covers FAT */
	SIG("GPT", 512, "EFI PART"),
	SIG("GPT", 4096, "EFI PART"),
	SIG("GPT backup", -512, "EFI PART"),
	SIG("GPT backup", -4096, "EFI PART"),
	SIG("MBR or boot sector", 510, "\x55\xaa"),
};

/**
 * signature_find() - look for a signature of other software
 * @head: the first SIGNATURE_WINDOW bytes
 * @tail: the last SIGNATURE_WINDOW bytes
 * @offset: where it was found is stored here, from the end when negative
 *
 * A magic value is enough: whether the rest of the superblock is sane is for
 * its owner to say, and its data is as precious when it isn't.
 *
 * Context: any.
 * Return: what was found, or NULL.
 */
const char *signature_find(const u8 *head, const u8 *tail, long *offset)
{
	size_t i, j;

	for (i = 0; i < ARRAY_SIZE(signatures); i++) {
		const struct signature *sig = &signatures[i];
		long at = sig->offset;

		for (j = 0; j < (sig->count ?: 1); j++, at += sig->stride) {
			const u8 *p = at < 0 ? tail + SIGNATURE_WINDOW + at :
					       head + at;

			if (memcmp(p, sig->magic, sig->len))
				continue;
			*offset = at;
			return sig->name;
		}
	}
	return NULL;
}
