// SPDX-License-Identifier: GPL-2.0-only
/*
 * The slot table's words, their lock, and pages of one repeated value.
 */

#include <stdlib.h>
#include <string.h>

#include <linux/array_size.h>
#include <linux/mm.h>

#include "slots.h"
#include "unit.h"

#define PAYLOAD_MAX	((1UL << 56) - 1)
#define LOCK		BIT(SLOT_LOCK_BIT)

static const enum slot_kind kinds[] = { SLOT_EMPTY, SLOT_RAW, SLOT_SAME };

/* ---- The word ---- */

static void check_word(enum slot_kind kind, unsigned long payload)
{
	unsigned long word = slot_word(kind, payload);

	expect_eq(slot_kind(word), kind);
	expect_eq(slot_payload(word), payload);
	expect_eq(word & LOCK, 0);
	/* the lock bit is no part of either */
	expect_eq(slot_kind(word | LOCK), kind);
	expect_eq(slot_payload(word | LOCK), payload);
}

static void word_round_trip(const void *arg)
{
	uint64_t random = unit_seed(1);
	unsigned int i, kind;

	(void)arg;
	/* later kinds must fit as well */
	for (kind = 0; kind < 8; kind++) {
		check_word(kind, 0);
		check_word(kind, PAYLOAD_MAX);
		check_word(kind, PAYLOAD_MAX - 1);
		check_word(kind, UINT32_MAX);
		for (i = 0; i < 56; i++)
			check_word(kind, 1UL << i);
		for (i = 0; i < 10000; i++)
			check_word(kind, unit_random(&random) & PAYLOAD_MAX);
	}
	expect_eq(slot_word(SLOT_EMPTY, 0), 0);	/* a new table needs no more than zeros */
	expect_eq(PAYLOAD_MAX, ~0UL >> SLOT_PAYLOAD_SHIFT);
}

/* A raw slot's page, age and flags don't get in each other's way */
static void raw_word(const void *arg)
{
	uint64_t random = unit_seed(8);
	unsigned int i;

	(void)arg;
	for (i = 0; i < 10000; i++) {
		unsigned long page = unit_random(&random) & (BIT(SLOT_PAGE_BITS) - 1);
		unsigned long then = unit_random(&random) >> unit_random(&random) % 64;
		unsigned long age = unit_random(&random) & SLOT_STAMP_MASK;
		unsigned long word = slot_raw(page, then) | LOCK;

		word |= unit_random(&random) & (SLOT_CLAIMED | SLOT_TRIED);
		expect_eq(slot_kind(word), SLOT_RAW);
		expect(slot_has_page(word));
		expect_eq(slot_page(word), page);
		expect_eq(slot_age(word, then), 0);
		/* time goes round */
		expect_eq(slot_age(word, then + age), age);
	}
	expect_eq(slot_page(slot_word(SLOT_LENT, 77)), 77);
}

static void lock_bit(const void *arg)
{
	struct slot slot = { 0 };
	uint64_t random = unit_seed(2);
	unsigned long word, next;
	unsigned int i;

	(void)arg;
	for (i = 0; i < 10000; i++) {
		word = slot.word;
		slot_lock(&slot);
		expect_eq(slot.word, word | LOCK);
		expect_eq(slot_get(&slot), word);
		expect_eq(slot.word, word | LOCK);

		next = slot_word(kinds[i % ARRAY_SIZE(kinds)], unit_random(&random) & PAYLOAD_MAX);
		slot_set(&slot, next);
		expect_eq(slot.word, next | LOCK);
		expect_eq(slot_get(&slot), next);
		slot_unlock(&slot);
		expect_eq(slot.word, next);
	}
}

static void exchange(const void *arg)
{
	struct slot slot = { 0 };
	uint64_t random = unit_seed(3);
	unsigned long word = 0, next;
	unsigned int i;

	(void)arg;
	for (i = 0; i < 10000; i++) {
		next = slot_word(kinds[i % ARRAY_SIZE(kinds)], unit_random(&random) & PAYLOAD_MAX);
		expect_eq(slot_exchange(&slot, next), word);
		expect_eq(slot.word, next);
		word = next;
	}
}

static void conditional(const void *arg)
{
	unsigned long raw = slot_word(SLOT_RAW, 77), lent = slot_word(SLOT_LENT, 77);
	unsigned long other = slot_word(SLOT_RAW, 78);
	struct slot slot = { raw };

	(void)arg;
	/* lock, if it is what was seen */
	expect(!slot_lock_if(&slot, other));
	expect_eq(slot.word, raw);
	expect(slot_lock_if(&slot, raw));
	expect_eq(slot.word, raw | LOCK);
	expect_eq(slot_get(&slot), raw);
	expect(!slot_lock_if(&slot, raw));	/* it is locked */
	expect_eq(slot.word, raw | LOCK);
	slot_unlock_as(&slot, lent);
	expect_eq(slot.word, lent);

	/* change, if it is what was expected */
	expect(!slot_change_if(&slot, raw, other));
	expect_eq(slot.word, lent);
	expect(slot_change_if(&slot, lent, 0));
	expect_eq(slot.word, 0);
}

/* ---- Threads ---- */

#define NR_THREADS	4
#define NR_SLOTS	3
#define NR_TOKENS	(NR_SLOTS + NR_THREADS)
#define NR_EXCHANGES	50000

/* More tokens than slots: each is in a slot or with a thread, and it alone writes its data */
struct table {
	struct slot slots[NR_SLOTS];
	unsigned int data[NR_TOKENS];
	unsigned int sum[NR_SLOTS];
	unsigned int added[NR_THREADS];
};

static unsigned long token(unsigned long n)
{
	return slot_word(kinds[1 + n % 2], PAYLOAD_MAX - n);
}

static void exchange_thread(unsigned int id, void *arg)
{
	struct table *table = arg;
	uint64_t random = unit_seed(10 + id);
	unsigned long mine = token(NR_SLOTS + id), n;
	unsigned int i;

	for (i = 0; i < NR_EXCHANGES && !unit_failed(); i++) {
		n = PAYLOAD_MAX - slot_payload(mine);
		if (!expect(n < NR_TOKENS && mine == token(n)))
			break;
		table->data[n]++;
		mine = slot_exchange(&table->slots[unit_random(&random) % NR_SLOTS], mine);
	}
	table->data[PAYLOAD_MAX - slot_payload(mine)] |= 1U << 31;
}

static void exchange_threads(const void *arg)
{
	struct table table = { 0 };
	unsigned long sum = 0, n;
	unsigned int i;

	(void)arg;
	for (i = 0; i < NR_SLOTS; i++)
		table.slots[i].word = token(i);
	unit_threads(NR_THREADS, exchange_thread, &table);

	for (i = 0; i < NR_SLOTS; i++) {
		expect_eq(table.slots[i].word & LOCK, 0);
		n = PAYLOAD_MAX - slot_payload(table.slots[i].word);
		if (!expect(n < NR_TOKENS))
			return;
		table.data[n] |= 1U << 31;
	}
	for (i = 0; i < NR_TOKENS; i++) {
		expect(table.data[i] >> 31);	/* none got lost, so none is there twice */
		sum += table.data[i] & ~(1U << 31);
	}
	if (!unit_failed())	/* who has failed, stops early */
		expect_eq(sum, NR_THREADS * NR_EXCHANGES);
}

static void lock_thread(unsigned int id, void *arg)
{
	struct table *table = arg;
	uint64_t random = unit_seed(20 + id);
	unsigned int i, s;

	for (i = 0; i < NR_EXCHANGES; i++) {
		struct slot *slot;

		s = unit_random(&random) % NR_SLOTS;
		slot = &table->slots[s];
		slot_lock(slot);
		table->sum[s]++;
		/* not one step: shows a second holder in between */
		slot_set(slot, slot_word(SLOT_RAW, slot_payload(slot_get(slot)) + 1));
		slot_unlock(slot);
	}
}

static void lock_threads(const void *arg)
{
	struct table table = { 0 };
	unsigned long sum = 0;
	unsigned int i;

	(void)arg;
	unit_threads(NR_THREADS, lock_thread, &table);
	for (i = 0; i < NR_SLOTS; i++) {
		expect_eq(table.slots[i].word, slot_word(SLOT_RAW, table.sum[i]));
		sum += table.sum[i];
	}
	expect_eq(sum, NR_THREADS * NR_EXCHANGES);
}

/* ---- Pages of one value ---- */

#define NR_VALUES	(PAGE_SIZE / sizeof(u32))

/* On the heap and not a byte longer, so that the sanitizer sees who looks behind the page */
static u32 *make_page(u32 value)
{
	u32 *page;
	unsigned int i;

	if (posix_memalign((void **)&page, sizeof(u64), PAGE_SIZE))
		abort();
	for (i = 0; i < NR_VALUES; i++)
		page[i] = value;
	return page;
}

static void same(const void *arg)
{
	static const u32 values[] = { 0, 1, 0x01010101, 0x12345678, 0x80000000, 0xfffffffe,
				      UINT32_MAX };
	unsigned int i;

	(void)arg;
	for (i = 0; i < ARRAY_SIZE(values); i++) {
		u32 *page = make_page(values[i]), value = ~values[i];

		expect(slot_same_filled(page, &value));
		expect_eq(value, values[i]);
		free(page);
	}
}

/* A page with one other bit, anywhere, isn't the same */
static void one_bit(const void *arg)
{
	static const u32 values[] = { 0, 0x12345678, UINT32_MAX };
	unsigned int i, at, bit;

	(void)arg;
	for (i = 0; i < ARRAY_SIZE(values); i++) {
		u32 *page = make_page(values[i]), value = 42;

		for (at = 0; at < NR_VALUES; at++) {
			/* every bit at the ends and in the middle, and some bit everywhere */
			bool all = at < 4 || at >= NR_VALUES - 4 || at / 4 == NR_VALUES / 8;

			for (bit = all ? 0 : at % 32; bit < 32; bit++) {
				page[at] ^= 1U << bit;
				if (!expect(!slot_same_filled(page, &value)))
					expect_eq(at, -1);
				page[at] ^= 1U << bit;
				if (!all)
					break;
			}
		}
		expect_eq(value, 42);	/* left alone */
		expect(slot_same_filled(page, &value));
		free(page);
	}
}

/* A 64-bit value repeated is not a 32-bit one */
static void halves(const void *arg)
{
	static const u32 values[][2] = {
		{ 0, 1 }, { 1, 0 }, { 0x12345678, 0x12345679 }, { 0, 0x80000000 },
		{ UINT32_MAX, 0 }, { UINT32_MAX, 0x7fffffff },
	};
	unsigned int i, at;

	(void)arg;
	for (i = 0; i < ARRAY_SIZE(values); i++) {
		u32 *page = make_page(values[i][0]), value = 42;

		for (at = 1; at < NR_VALUES; at += 2)
			page[at] = values[i][1];
		expect(!slot_same_filled(page, &value));
		expect_eq(value, 42);
		free(page);
	}
}

static void random_pages(const void *arg)
{
	uint64_t random = unit_seed(4);
	u32 *page = make_page(0), value;
	unsigned int i, at, n;

	(void)arg;
	for (i = 0; i < 20000; i++) {
		u32 fill = unit_random(&random) % 3;
		bool naive = true;

		for (at = 0; at < NR_VALUES; at++)
			page[at] = fill;
		for (n = unit_random(&random) % 4; n; n--)
			page[unit_random(&random) % NR_VALUES] = unit_random(&random) % 3;
		for (at = 1; at < NR_VALUES; at++)
			naive &= page[at] == page[0];
		if (!expect_eq(slot_same_filled(page, &value), naive))
			break;
		if (naive)
			expect_eq(value, page[0]);
	}
	free(page);
}

static const struct unit_case cases[] = {
	{ "words keep kind and payload", word_round_trip, NULL },
	{ "raw slots keep page and age", raw_word, NULL },
	{ "get and set leave the lock bit alone", lock_bit, NULL },
	{ "exchange", exchange, NULL },
	{ "lock and change only what was expected", conditional, NULL },
	{ "exchange under threads loses and doubles nothing", exchange_threads, NULL },
	{ "one thread holds the lock", lock_threads, NULL },
	{ "pages of one value", same, NULL },
	{ "one other bit", one_bit, NULL },
	{ "halves of 64-bit words differ", halves, NULL },
	{ "random pages", random_pages, NULL },
};

int main(int argc, char **argv)
{
	return unit_main(argc, argv, cases, ARRAY_SIZE(cases));
}
