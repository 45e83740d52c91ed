/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the test programs share: a page pattern that names its page, and sizes.
 */
#ifndef _SELFTESTS_COMMON_H
#define _SELFTESTS_COMMON_H

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PAGE		4096UL
#define PAGE_WORDS	(PAGE / sizeof(uint64_t))

/* Exit status of every program here. */
enum {
	EXIT_OK = 0,
	EXIT_WRONG_DATA = 1,
	EXIT_SETUP = 2,
	EXIT_IO = 3,
};

/*
 * What a page holds. KIND_RANDOM can't be compressed; its first two words name the
 * page, so that a page that shows up in the wrong place can be told. KIND_SAME is
 * one 32-bit value repeated, never 0. KIND_ALMOST is KIND_SAME but for the last
 * 32 bits. KIND_MIXED is for the caller's use: one of those before it, by index. KIND_TEXT can be
 * compressed, some pages better than others; it begins as KIND_RANDOM does. So does KIND_SECRET,
 * then come 62 words that can't be compressed, the same in all pages of a seed, and zeros.
 */
enum kind {
	KIND_RANDOM,
	KIND_SAME,
	KIND_ZERO,
	KIND_ALMOST,
	KIND_MIXED,
	KIND_TEXT,
	KIND_SECRET,
};

/* Words of KIND_SECRET that aren't zero */
#define SECRET_WORDS	64

static inline void __attribute__((noreturn, format(printf, 1, 2)))
die(const char *fmt, ...)
{
	int err = errno;
	va_list ap;

	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fprintf(stderr, ": %s\n", strerrorname_np(err));
	exit(EXIT_SETUP);
}

static inline uint64_t mix64(uint64_t x)
{
	x ^= x >> 30;
	x *= 0xbf58476d1ce4e5b9ULL;
	x ^= x >> 27;
	x *= 0x94d049bb133111ebULL;
	return x ^ x >> 31;
}

/* A generator for decisions, one state a user. */
static inline uint64_t next_random(uint64_t *state)
{
	*state += 0x9e3779b97f4a7c15ULL;
	return mix64(*state);
}

static inline enum kind kind_of(enum kind kind, uint64_t index)
{
	return kind == KIND_MIXED ? (enum kind)(index % KIND_MIXED) : kind;
}

static inline enum kind parse_kind(const char *name)
{
	static const char * const names[] = {
		[KIND_RANDOM] = "random", [KIND_SAME] = "same",
		[KIND_ZERO] = "zero", [KIND_ALMOST] = "almost",
		[KIND_MIXED] = "mixed", [KIND_TEXT] = "text",
		[KIND_SECRET] = "secret",
	};
	unsigned int i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (!strcmp(name, names[i]))
			return (enum kind)i;
	errno = EINVAL;
	die("kind %s", name);
}

static inline uint32_t same_value(uint64_t seed, uint64_t index, uint32_t version)
{
	uint32_t value = (uint32_t)mix64(seed + (index << 8) + version);

	return value ? value : 1;
}

/* A word of 8 letters, one of 16 to 1024. */
static inline uint64_t text_word(uint64_t seed, uint64_t index, uint32_t version, unsigned int i)
{
	uint64_t pick = mix64((seed << 40) + (index << 16) + version + ((uint64_t)i << 52));
	uint64_t word = mix64(1 + pick % (16U << index % 7));

	return (word & 0x0f0f0f0f0f0f0f0fULL) + 0x6161616161616161ULL;
}

/* Word @i of a page. Cheap enough to be generated again for each comparison. */
static inline uint64_t page_word(uint64_t seed, uint64_t index, uint32_t version,
				 enum kind kind, unsigned int i)
{
	uint64_t same;

	switch (kind) {
	case KIND_ZERO:
		return 0;
	case KIND_SAME:
	case KIND_ALMOST:
		same = same_value(seed, index, version);
		same |= same << 32;
		if (kind == KIND_ALMOST && i == PAGE_WORDS - 1)
			same ^= 1ULL << 63;
		return same;
	default:
		break;
	}
	if (i == 0)
		return index;
	if (i == 1)
		return seed << 32 | version;
	if (kind == KIND_TEXT)
		return text_word(seed, index, version, i);
	if (kind == KIND_SECRET)
		return i < SECRET_WORDS ? mix64((seed << 40) + version + ((uint64_t)i << 52)) : 0;
	return mix64((seed << 40) + (index << 16) + version) *
	       (2 * i + 1) + ((uint64_t)i << 56);
}

static inline void page_fill(void *page, uint64_t seed, uint64_t index,
			     uint32_t version, enum kind kind)
{
	uint64_t *word = page;
	unsigned int i;

	kind = kind_of(kind, index);
	for (i = 0; i < PAGE_WORDS; i++)
		word[i] = page_word(seed, index, version, kind, i);
}

/* Returns how many bytes are wrong; says on stderr what is there instead. */
static inline unsigned long page_check(const void *page, uint64_t seed,
				       uint64_t index, uint32_t version,
				       enum kind kind)
{
	const uint64_t *word = page;
	unsigned long wrong = 0;
	unsigned int first = 0;
	unsigned int i, b;
	uint64_t diff;

	kind = kind_of(kind, index);
	for (i = 0; i < PAGE_WORDS; i++) {
		diff = word[i] ^ page_word(seed, index, version, kind, i);
		if (!diff)
			continue;
		if (!wrong)
			first = i;
		for (b = 0; b < 64; b += 8)
			wrong += (diff >> b & 0xff) != 0;
	}
	if (wrong) {
		fprintf(stderr, "page %" PRIu64 " (seed %" PRIu64 " version %u kind %d): ",
			index, seed, version, kind);
		fprintf(stderr, "%lu bytes wrong, the first at %zu; ", wrong,
			first * sizeof(*word));
		fprintf(stderr, "it begins %016" PRIx64 " %016" PRIx64 ", there %016" PRIx64 "\n",
			word[0], word[1], word[first]);
	}
	return wrong;
}

/* "12", "4K", "1.5G" */
static inline uint64_t parse_size(const char *text)
{
	static const char units[] = "KMGT";
	double value;
	const char *unit;
	char *end;

	errno = 0;
	value = strtod(text, &end);
	unit = *end ? strchr(units, *end) : NULL;
	if (end == text || value < 0 || (*end && !unit))
		errno = EINVAL;
	else if (unit)
		value *= (double)(1ULL << 10 * (unit - units + 1));
	if (errno)
		die("size %s", text);
	return (uint64_t)value;
}

static inline uint64_t parse_number(const char *text)
{
	uint64_t value;
	char *end;

	errno = 0;
	value = strtoull(text, &end, 0);
	if (!errno && (end == text || *end))
		errno = EINVAL;
	if (errno)
		die("number %s", text);
	return value;
}

#endif /* _SELFTESTS_COMMON_H */
