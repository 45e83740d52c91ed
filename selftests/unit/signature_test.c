// SPDX-License-Identifier: GPL-2.0-only
/*
 * The table of signatures: each is found where it stands and nowhere else; output of real tools.
 */

#define _GNU_SOURCE	/* environ */

#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* The table is of interest, too */
#include "signature.c"

#include "unit.h"

#define WINDOW		((long)SIGNATURE_WINDOW)
#define NO_OFFSET	0x5a5a5aL

/* Both windows; exactly as large as promised, so that the sanitizer sees who looks beyond */
struct media {
	u8 *head;
	u8 *tail;
};

static struct media make_media(void)
{
	struct media m = { calloc(1, WINDOW), calloc(1, WINDOW) };

	if (!m.head || !m.tail)
		abort();
	return m;
}

static void free_media(struct media *m)
{
	free(m->head);
	free(m->tail);
}

static bool from_end(long offset)
{
	return offset < 0;
}

/* A byte, by its offset from the beginning or the end; NULL when there is none */
static u8 *byte_at(const struct media *m, long offset)
{
	if (offset >= WINDOW || offset < -WINDOW)
		return NULL;
	return offset < 0 ? &m->tail[WINDOW + offset] : &m->head[offset];
}

/* Writes what fits; returns whether all did. An end of the media isn't run over. */
static bool place(const struct media *m, long offset, const char *bytes, unsigned int len)
{
	unsigned int i;

	for (i = 0; i < len; i++) {
		if (from_end(offset) != from_end(offset + (long)i) || !byte_at(m, offset + i))
			return false;
		*byte_at(m, offset + i) = bytes[i];
	}
	return true;
}

static void erase(const struct media *m, long offset, unsigned int len)
{
	for (; len--; offset++)
		if (byte_at(m, offset))
			*byte_at(m, offset) = 0;
}

static unsigned int nr_places(const struct signature *sig)
{
	return sig->count ? sig->count : 1;
}

static long place_of(const struct signature *sig, unsigned int j)
{
	return (long)sig->offset + (long)j * sig->stride;
}

/* The same search, written down as simply as can be */
static const char *naive_find(const struct media *m, long *offset)
{
	unsigned int i, j, k;

	for (i = 0; i < ARRAY_SIZE(signatures); i++) {
		for (j = 0; j < nr_places(&signatures[i]); j++) {
			long at = place_of(&signatures[i], j);

			for (k = 0; k < signatures[i].len; k++)
				if (*byte_at(m, at + k) != (u8)signatures[i].magic[k])
					break;
			if (k == signatures[i].len) {
				*offset = at;
				return signatures[i].name;
			}
		}
	}
	return NULL;
}

static bool check_found(const struct media *m, const char *name, long at)
{
	long offset = NO_OFFSET;
	const char *found = signature_find(m->head, m->tail, &offset);
	bool same_place = expect_eq(offset, name ? at : NO_OFFSET);

	return expect_str(found, name) && same_place;
}

/* ---- The table ---- */

static void table_is_sane(const void *arg)
{
	unsigned int i, j, k;

	(void)arg;
	for (i = 0; i < ARRAY_SIZE(signatures); i++) {
		const struct signature *sig = &signatures[i];

		expect(sig->name && *sig->name);
		expect(sig->len >= 2);
		expect(nr_places(sig) == 1 || sig->stride >= sig->len);
		for (j = 0; j < nr_places(sig); j++) {
			long at = place_of(sig, j), end = at + sig->len;

			/* within one window */
			expect(sig->offset < 0 ? at >= -WINDOW && end <= 0 :
						 at >= 0 && end <= WINDOW);
		}
		/* all zeros would be found everywhere */
		for (k = 0; k < sig->len && !sig->magic[k]; k++)
			;
		expect(k < sig->len);
	}
}

static void nothing(const void *arg)
{
	struct media m = make_media();
	static const u8 fill[] = { 0, 0xff, 0x20, 0xe5 };
	unsigned int i;

	(void)arg;
	for (i = 0; i < ARRAY_SIZE(fill); i++) {
		memset(m.head, fill[i], WINDOW);
		memset(m.tail, fill[i], WINDOW);
		check_found(&m, NULL, 0);
	}
	free_media(&m);
}

/* An entry alone: every place, every byte of it, the places next to it */
static void each_entry(const void *arg)
{
	struct media m = make_media();
	unsigned int i, j, k;
	long at;

	(void)arg;
	for (i = 0; i < ARRAY_SIZE(signatures) && !unit_failed(); i++) {
		const struct signature *sig = &signatures[i];
		const char *name;

		for (j = 0; j < nr_places(sig); j++) {
			at = place_of(sig, j);
			expect(place(&m, at, sig->magic, sig->len));
			if (!check_found(&m, sig->name, at))
				break;
			for (k = 0; k < sig->len; k++) {
				/* only one place needs all of this */
				static const u8 flips[] = { 0x01, 0x80, 0xff };
				u8 *byte = byte_at(&m, at + k);

				for (unsigned int f = 0; f < (j ? 1 : ARRAY_SIZE(flips)); f++) {
					*byte ^= flips[f];
					check_found(&m, NULL, 0);
					*byte ^= flips[f];
				}
			}
			erase(&m, at, sig->len);
			/* in the other window it means nothing, or something else */
			place(&m, at < 0 ? at + WINDOW : at - WINDOW, sig->magic, sig->len);
			name = naive_find(&m, &at);
			check_found(&m, name, at);
			memset(m.head, 0, WINDOW);
			memset(m.tail, 0, WINDOW);
		}
	}
	free_media(&m);
}

static void one_byte_off(const void *arg)
{
	struct media m = make_media();
	unsigned int i, j, nr_none = 0;
	int d;

	(void)arg;
	for (i = 0; i < ARRAY_SIZE(signatures) && !unit_failed(); i++) {
		const struct signature *sig = &signatures[i];

		for (j = 0; j < nr_places(sig); j++) {
			for (d = -1; d <= 1; d += 2) {
				long at = place_of(sig, j) + d, found = 0;
				const char *name;

				if (!place(&m, at, sig->magic, sig->len)) {
					erase(&m, at, sig->len);
					continue;
				}
				name = naive_find(&m, &found);
				nr_none += !name;
				check_found(&m, name, found);
				expect_str(name, NULL);
				erase(&m, at, sig->len);
			}
		}
	}
	expect(nr_none > 2 * ARRAY_SIZE(signatures) - 40);
	free_media(&m);
}

/* Half a stride away, and where the next place would be after the last one, is nothing */
static void strides(const void *arg)
{
	struct media m = make_media();
	unsigned int i, nr = 0;

	(void)arg;
	for (i = 0; i < ARRAY_SIZE(signatures); i++) {
		const struct signature *sig = &signatures[i];
		unsigned int n = nr_places(sig);
		const long wrong[] = {
			place_of(sig, 0) - (long)sig->stride, place_of(sig, n),
			place_of(sig, 0) + (long)sig->stride / 2,
			place_of(sig, n - 1) - (long)sig->stride / 2,
		};

		if (n == 1)
			continue;
		nr++;
		for (unsigned int w = 0; w < ARRAY_SIZE(wrong); w++) {
			if (from_end(wrong[w]) == from_end(sig->offset) &&
			    place(&m, wrong[w], sig->magic, sig->len))
				check_found(&m, NULL, 0);
			memset(m.head, 0, WINDOW);
			memset(m.tail, 0, WINDOW);
		}
		/* at all places at once, the first counts */
		for (unsigned int j = 0; j < n; j++)
			place(&m, place_of(sig, j), sig->magic, sig->len);
		check_found(&m, sig->name, sig->offset);
		memset(m.head, 0, WINDOW);
		memset(m.tail, 0, WINDOW);
	}
	expect(nr > 0);
	free_media(&m);
}

/* ---- Values as the headers of their owners spell them: numbers, not bytes ---- */

static const struct {
	const char *name;
	long offset;
	unsigned long value;
	unsigned int len;
	bool big_endian;
} numbers[] = {
	{ "ext2/3/4", 1024 + 56, 0xef53, 2, false },
	{ "xfs", 0, 0x58465342, 4, true },
	{ "xfs log", 0, 0xfeedbabe, 4, true },
	{ "btrfs", 65536 + 64, 0x4d5f53665248425f, 8, false },
	{ "f2fs", 1024, 0xf2f52010, 4, false },
	{ "erofs", 1024, 0xe0f5e1e2, 4, false },
	{ "squashfs", 0, 0x73717368, 4, false },
	{ "NOVA", 4, 0x4e4f5641, 4, false },
	{ "nilfs2", 1024 + 6, 0x3434, 2, false },
	{ "gfs2", 65536, 0x01161970, 4, true },
	{ "ufs1", 8192 + 1372, 0x00011954, 4, false },
	{ "ufs2", 65536 + 1372, 0x19540119, 4, false },
	{ "minix3", 1024 + 24, 0x4d5a, 2, false },
	{ "zfs", 131072, 0x00bab10c, 8, false },
	{ "zfs", -1024, 0x00bab10c, 8, false },
	{ "apfs", 32, 0x4253584e, 4, false },
	{ "md 1.1", 0, 0xa92b4efc, 4, false },
	{ "md 1.2", 4096, 0xa92b4efc, 4, false },
	{ "md 1.0", -8192, 0xa92b4efc, 4, false },
	{ "md 0.90", -65536, 0xa92b4efc, 4, false },
	{ "DDF RAID", -512, 0xde11de11, 4, true },
	{ "dm-writecache", 0, 0x23489321, 4, false },
	{ "dm-cache", 32, 06142003, 8, false },
	{ "dm-thin", 32, 27022010, 8, false },
	{ "dm-snapshot", 0, 0x70416e53, 4, false },
	{ "GPT", 512, 0x5452415020494645, 8, false },
	{ "GPT backup", -512, 0x5452415020494645, 8, false },
	{ "MBR or boot sector", 510, 0xaa55, 2, false },
};

static void numbers_found(const void *arg)
{
	struct media m = make_media();
	unsigned int i, k;

	(void)arg;
	for (i = 0; i < ARRAY_SIZE(numbers); i++) {
		unsigned int len = numbers[i].len;
		char bytes[8];

		for (k = 0; k < len; k++)
			bytes[numbers[i].big_endian ? len - 1 - k : k] =
				(char)(numbers[i].value >> 8 * k);
		place(&m, numbers[i].offset, bytes, len);
		check_found(&m, numbers[i].name, numbers[i].offset);
		erase(&m, numbers[i].offset, len);
	}
	free_media(&m);
}

/* ---- Random data ---- */

static void fill_random(const struct media *m, uint64_t *random)
{
	for (long i = 0; i < WINDOW; i += 8) {
		uint64_t x = unit_random(random), y = unit_random(random);

		memcpy(m->head + i, &x, 8);
		memcpy(m->tail + i, &y, 8);
	}
}

/* With up to three signatures, some of them damaged or in the wrong place */
static void random_data(const void *arg)
{
	struct media m = make_media();
	uint64_t random = unit_seed(1);
	unsigned int i, n, nr_found = 0, nr = 1500;

	(void)arg;
	for (i = 0; i < nr; i++) {
		const char *name;
		long at = 0;

		if (i % 50 == 0)
			fill_random(&m, &random);
		for (n = unit_random(&random) % 4; n; n--) {
			const struct signature *sig =
				&signatures[unit_random(&random) % ARRAY_SIZE(signatures)];
			unsigned long how = unit_random(&random);
			long where = place_of(sig, (how >> 8) % nr_places(sig));

			if (how % 4 == 0)
				where += (long)(how >> 16) % 3 - 1;
			place(&m, where, sig->magic, sig->len);
			if (how % 4 == 1)
				*byte_at(&m, where + (how >> 32) % sig->len) ^=
					1 << (how >> 16) % 8;
		}
		name = naive_find(&m, &at);
		nr_found += !!name;
		if (!check_found(&m, name, at))
			break;
		/* make room for the entries that stand further down in the table */
		if (name && i % 4)
			erase(&m, at, 16);
	}
	/* both outcomes have been seen */
	if (!unit_failed())
		expect(nr_found > nr / 10 && nr_found < nr - nr / 10);
	free_media(&m);
}

/* ---- What real tools write ---- */

struct tool {
	const char *argv[8];	/* the file's name is put last */
	long megabytes;
	const char *name;
	long offset;
};

/* Returns the exit status; 127 when there is no such program */
static int run_tool(const char *const *argv)
{
	posix_spawn_file_actions_t files;
	int err, status;
	pid_t pid;

	posix_spawn_file_actions_init(&files);
	posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_addopen(&files, 1, "/dev/null", O_WRONLY, 0);
	posix_spawn_file_actions_addopen(&files, 2, "/dev/null", O_WRONLY, 0);
	err = posix_spawnp(&pid, argv[0], &files, NULL, (char *const *)argv, environ);
	posix_spawn_file_actions_destroy(&files);
	if (err)
		return 127;
	if (waitpid(pid, &status, 0) < 0)
		return -1;
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void real_tool(const void *arg)
{
	const struct tool *tool = arg;
	const char *argv[ARRAY_SIZE(tool->argv) + 1], *dir = getenv("TMPDIR");
	struct media m = make_media();
	off_t size = tool->megabytes << 20;
	unsigned int argc;
	char path[4096];
	int fd, status;

	snprintf(path, sizeof(path), "%s/signature.XXXXXX", dir ? dir : "/tmp");
	fd = mkstemp(path);
	if (!expect(fd >= 0))
		goto out;
	expect_eq(ftruncate(fd, size), 0);
	for (argc = 0; tool->argv[argc]; argc++)
		argv[argc] = tool->argv[argc];
	argv[argc++] = path;
	argv[argc] = NULL;
	status = run_tool(argv);
	if (status == 127) {
		unit_skip("there is no %s", argv[0]);
	} else if (expect_eq(status, 0)) {
		expect_eq(pread(fd, m.head, WINDOW, 0), WINDOW);
		expect_eq(pread(fd, m.tail, WINDOW, size - WINDOW), WINDOW);
		check_found(&m, tool->name, tool->offset);
	}
	unlink(path);
	close(fd);
out:
	free_media(&m);
}

#define TOOL(_title, _megabytes, _name, _offset, ...)			\
	{ "found: " _title, real_tool,					\
	  &(const struct tool){ .argv = { __VA_ARGS__ }, .megabytes = _megabytes, \
				.name = _name, .offset = _offset } }

static const struct unit_case cases[] = {
	{ "the table is sane", table_is_sane, NULL },
	{ "nothing in nothing", nothing, NULL },
	{ "each entry, and nothing when a byte differs", each_entry, NULL },
	{ "an entry one byte off", one_byte_off, NULL },
	{ "strides", strides, NULL },
	{ "numbers as their owners define them", numbers_found, NULL },
	{ "random data matches a naive search", random_data, NULL },
	TOOL("mkfs.ext4", 16, "ext2/3/4", 0x438, "mkfs.ext4", "-q", "-F"),
	TOOL("mkfs.ext2, 1 KiB blocks", 16, "ext2/3/4", 0x438,
	     "mkfs.ext2", "-q", "-F", "-b", "1024"),
	TOOL("mkswap", 16, "swap", 4096 - 10, "mkswap"),
	TOOL("mkswap, 16 KiB pages", 16, "swap", 16384 - 10, "mkswap", "-p", "16384"),
	TOOL("mkswap, 64 KiB pages", 16, "swap (64K pages)", 65536 - 10, "mkswap", "-p", "65536"),
	TOOL("mkfs.minix", 16, "minix", 0x410, "mkfs.minix", "-1"),
	TOOL("mkfs.minix, short names", 16, "minix", 0x410, "mkfs.minix", "-1", "-n", "14"),
	TOOL("mkfs.minix, version 2", 16, "minix", 0x410, "mkfs.minix", "-2"),
	TOOL("mkfs.minix, version 2, short names", 16, "minix", 0x410,
	     "mkfs.minix", "-2", "-n", "14"),
	TOOL("mkfs.minix, version 3", 16, "minix3", 0x418, "mkfs.minix", "-3"),
	TOOL("mkfs.xfs", 320, "xfs", 0, "mkfs.xfs", "-q"),
	TOOL("mkfs.btrfs", 128, "btrfs", 0x10040, "mkfs.btrfs", "-q"),
	TOOL("mkfs.f2fs", 64, "f2fs", 0x400, "mkfs.f2fs", "-q"),
	TOOL("mkfs.vfat", 16, "MBR or boot sector", 510, "mkfs.vfat"),
};

int main(int argc, char **argv)
{
	const char *dirs = getenv("PATH");
	char path[8192];

	/* mkfs and its like are often not where ordinary users' PATH leads */
	snprintf(path, sizeof(path), "%s:/usr/sbin:/sbin", dirs ? dirs : "/usr/bin:/bin");
	setenv("PATH", path, 1);
	return unit_main(argc, argv, cases, ARRAY_SIZE(cases));
}
