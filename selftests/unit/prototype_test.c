// SPDX-License-Identifier: GPL-2.0-only
/*
 * Prototypes out of BTF: each kind of type is written as C has it, and nonsense does no harm.
 */

#include <stdlib.h>
#include <string.h>

/* Its insides are of interest, too */
#include "prototype.c"

#include "unit.h"

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))
#define MAX_WORDS	65536
#define MAX_STRINGS	8192
#define MAX_PARAMS	8

/* ---- BTF, made by hand ---- */

static uint32_t words[MAX_WORDS];
static uint32_t nr_words, nr_types;
static char strings[MAX_STRINGS];
static uint32_t strings_len;

static void begin(void)
{
	nr_words = 0;
	nr_types = 0;
	strings_len = 1;	/* no name is the name at 0 */
}

static void word(uint32_t w)
{
	if (nr_words == MAX_WORDS)
		abort();
	words[nr_words++] = w;
}

static uint32_t string(const char *s)
{
	uint32_t at = strings_len, len = strlen(s) + 1;

	if (!*s)
		return 0;
	if (len > MAX_STRINGS - at)
		abort();
	memcpy(strings + at, s, len);
	strings_len += len;
	return at;
}

/* Returns the new type's id; what follows it is for the caller */
static uint32_t type(uint32_t kind, const char *name, uint32_t nr, uint32_t of)
{
	word(string(name));
	word(kind << 24 | nr);
	word(of);
	return ++nr_types;
}

static uint32_t integer(const char *name, uint32_t size, uint32_t encoding)
{
	uint32_t id = type(BTF_KIND_INT, name, 0, size);

	word(encoding << 24 | size * 8);
	return id;
}

static uint32_t ptr(uint32_t to)
{
	return type(BTF_KIND_PTR, "", 0, to);
}

static uint32_t array(uint32_t of, uint32_t nr)
{
	uint32_t id = type(BTF_KIND_ARRAY, "", 0, 0);

	word(of);
	word(1);
	word(nr);
	return id;
}

/* What a function is a function of: parameters up to the first END */
#define END	(~0U)

static uint32_t proto(uint32_t ret, const uint32_t *param)
{
	uint32_t nr, id;

	for (nr = 0; param[nr] != END; nr++)
		;
	id = type(BTF_KIND_FUNC_PROTO, "", nr, ret);
	while (nr--) {
		word(0);
		word(*param++);
	}
	return id;
}

#define PROTO(ret, ...)	proto(ret, (const uint32_t[]){ __VA_ARGS__, END })
#define NO_PARAMS	END

static uint32_t function(const char *name, uint32_t proto)
{
	return type(BTF_KIND_FUNC, name, 0, proto);
}

static uint32_t variable(const char *name, uint32_t of)
{
	uint32_t id = type(BTF_KIND_VAR, name, 0, of);

	word(BTF_VAR_GLOBAL_ALLOCATED);
	return id;
}

/* A copy, exactly as large as it is, so that the sanitizer sees who looks beyond */
static void *finish(size_t *len)
{
	struct btf_header h = {
		.magic = BTF_MAGIC,
		.version = BTF_VERSION,
		.hdr_len = sizeof(h),
		.type_len = 4 * nr_words,
		.str_off = 4 * nr_words,
		.str_len = strings_len,
	};
	char *btf;

	*len = sizeof(h) + h.type_len + h.str_len;
	btf = malloc(*len);
	if (!btf)
		abort();
	memcpy(btf, &h, sizeof(h));
	memcpy(btf + sizeof(h), words, h.type_len);
	memcpy(btf + sizeof(h) + h.type_len, strings, h.str_len);
	return btf;
}

/* ---- One of each ---- */

/* In the order of sample(); what prototypes_find() must say of each */
static const char * const functions[] = {
	"void nothing(void)",
	"int plain(int, unsigned int, long, unsigned long)",
	"short small(unsigned short, char, signed char, unsigned char, bool)",
	"unsigned long wide(long, __int128, unsigned __int128)",
	"double floating(void)",
	"struct page *pointer(struct page *, struct page **)",
	"const struct page *constant(const struct page *, struct page *const, const char *const *)",
	"volatile int *unsteady(void *restrict, const volatile void *)",
	"void tagged(union u *, enum e, struct later *, union later_too *, enum e64)",
	"unsigned int typedefs(unsigned int, pte_t, pte_t *, struct page *, struct page)",
	"const pte_t *nameless(flags_t, either_t)",
	"void callback(int (*)(struct page *, void *), void *)",
	"void callbacks(int (**)(void), void (*const)(int), void (*(*)(int))(void))",
	"void (*handler(int))(int)",
	"int (*get_array(void))[4]",
	"void arrays(int (*)[3][5], char *(*)[2])",
	"int printf_like(const char *, ...)",
	"void percpu_tagged(struct page *, int *)",
	"void handlers(void (*)(int))",
};

static const char * const variables[] = {
	"int counter",
	"struct page *current_page",
	"unsigned long table[4]",
	"void (*hook)(int)",
	"pte_t entry",
};

static void sample(void)
{
	uint32_t i, ui, l, ul, s, us, c, sc, uc, b, ll, i128, u128, d;
	uint32_t page, page_ptr, page_const, u, e, e64, later, later_too;
	uint32_t vm_fault_t, vm_fault_t2, anon, pte_t_, page_td, flags_t_, either_t_;
	uint32_t int_fn, int_fn_ptr, void_int, void_int_ptr, tag, char_const;

	begin();
	i = integer("int", 4, BTF_INT_SIGNED);
	ui = integer("unsigned int", 4, 0);
	l = integer("long int", 8, BTF_INT_SIGNED);
	ul = integer("long unsigned int", 8, 0);
	s = integer("short int", 2, BTF_INT_SIGNED);
	us = integer("short unsigned int", 2, 0);
	c = integer("char", 1, 0);
	sc = integer("signed char", 1, BTF_INT_SIGNED);
	uc = integer("unsigned char", 1, 0);
	b = integer("_Bool", 1, BTF_INT_BOOL);
	ll = integer("long long int", 8, BTF_INT_SIGNED);
	i128 = integer("__int128", 16, BTF_INT_SIGNED);
	u128 = integer("__int128 unsigned", 16, 0);
	d = type(BTF_KIND_FLOAT, "double", 0, 8);
	page = type(BTF_KIND_STRUCT, "page", 2, 16);
	for (int k = 0; k < 2; k++) {
		word(string("member"));
		word(ul);
		word(64 * k);
	}
	page_ptr = ptr(page);
	page_const = type(BTF_KIND_CONST, "", 0, page);
	u = type(BTF_KIND_UNION, "u", 0, 8);
	e = type(BTF_KIND_ENUM, "e", 1, 4);
	word(string("VALUE"));
	word(7);
	e64 = type(BTF_KIND_ENUM64, "e64", 1, 8);
	word(string("WIDE"));
	word(7);
	word(7);
	later = type(BTF_KIND_FWD, "later", 0, 0);
	later_too = type(BTF_KIND_FWD, "later_too", 0, 0);
	words[nr_words - 2] |= 1U << 31;	/* a union */

	function("nothing", PROTO(0, NO_PARAMS));
	function("plain", PROTO(i, i, ui, l, ul));
	function("small", PROTO(s, us, c, sc, uc, b));
	function("wide", PROTO(ul, ll, i128, u128));
	function("floating", PROTO(d, NO_PARAMS));
	function("pointer", PROTO(page_ptr, page_ptr, ptr(page_ptr)));
	char_const = type(BTF_KIND_CONST, "", 0, c);
	function("constant", PROTO(ptr(page_const), ptr(page_const),
				   type(BTF_KIND_CONST, "", 0, page_ptr),
				   ptr(type(BTF_KIND_CONST, "", 0, ptr(char_const)))));
	function("unsteady", PROTO(ptr(type(BTF_KIND_VOLATILE, "", 0, i)),
				   type(BTF_KIND_RESTRICT, "", 0, ptr(0)),
				   ptr(type(BTF_KIND_CONST, "", 0,
					    type(BTF_KIND_VOLATILE, "", 0, 0)))));
	function("tagged", PROTO(0, ptr(u), e, ptr(later), ptr(later_too), e64));

	vm_fault_t = type(BTF_KIND_TYPEDEF, "vm_fault_t", 0, ui);
	vm_fault_t2 = type(BTF_KIND_TYPEDEF, "another_t", 0, vm_fault_t);
	anon = type(BTF_KIND_STRUCT, "", 0, 8);
	pte_t_ = type(BTF_KIND_TYPEDEF, "pte_t", 0, anon);
	page_td = type(BTF_KIND_TYPEDEF, "page_ptr_t", 0, page_ptr);
	function("typedefs", PROTO(vm_fault_t, vm_fault_t2, pte_t_, ptr(pte_t_), page_td,
				   type(BTF_KIND_TYPEDEF, "page_t", 0, page)));
	flags_t_ = type(BTF_KIND_TYPEDEF, "flags_t", 0, type(BTF_KIND_ENUM, "", 0, 4));
	either_t_ = type(BTF_KIND_TYPEDEF, "either_t", 0, type(BTF_KIND_UNION, "", 0, 8));
	function("nameless", PROTO(ptr(type(BTF_KIND_CONST, "", 0, pte_t_)), flags_t_, either_t_));

	int_fn_ptr = ptr(PROTO(i, page_ptr, ptr(0)));
	function("callback", PROTO(0, type(BTF_KIND_TYPEDEF, "filler_t", 0, int_fn_ptr), ptr(0)));
	int_fn = PROTO(i, NO_PARAMS);
	void_int = PROTO(0, i);
	void_int_ptr = ptr(void_int);
	function("callbacks", PROTO(0, ptr(ptr(int_fn)),
				    type(BTF_KIND_CONST, "", 0, void_int_ptr),
				    ptr(PROTO(ptr(PROTO(0, NO_PARAMS)), i))));
	function("handler", PROTO(void_int_ptr, i));
	function("get_array", PROTO(ptr(array(i, 4)), NO_PARAMS));
	function("arrays", PROTO(0, ptr(array(array(i, 5), 3)), ptr(array(ptr(c), 2))));
	function("printf_like", PROTO(i, ptr(char_const), 0));
	tag = type(BTF_KIND_TYPE_TAG, "percpu", 0, page);
	function("percpu_tagged", PROTO(0, ptr(tag), ptr(type(BTF_KIND_TYPE_TAG, "user", 0, i))));
	function("handlers", PROTO(0, ptr(type(BTF_KIND_TYPEDEF, "handler_t", 0, void_int))));

	variable("counter", i);
	variable("current_page", page_ptr);
	variable("table", array(ul, 4));
	variable("hook", void_int_ptr);
	variable("entry", pte_t_);

	/* Nothing of it matters, but it is in the way */
	type(BTF_KIND_DECL_TAG, "tag", 0, 1);
	word(~0U);
	type(BTF_KIND_DATASEC, ".data", 1, 8);
	word(nr_types - 1);
	word(0);
	word(8);
	/* Named like other things */
	variable("plain", ul);
	function("counter", PROTO(0, NO_PARAMS));
}

static void check_found(const struct prototypes *p, const char *want)
{
	char name[64], text[256];
	bool is_function;

	if (!expect(prototype_parse(want, name, sizeof(name), &is_function)))
		return;
	expect_eq(prototypes_find(p, name, is_function, text, sizeof(text)), 0);
	expect_str(text, want);
}

static void each_kind(const void *arg)
{
	static struct prototypes p;
	size_t len, i;
	void *btf;

	(void)arg;
	sample();
	btf = finish(&len);
	expect_eq(prototypes_open(&p, btf, len), 0);
	expect_eq(p.nr, nr_types);
	for (i = 0; i < ARRAY_SIZE(functions); i++)
		check_found(&p, functions[i]);
	for (i = 0; i < ARRAY_SIZE(variables); i++)
		check_found(&p, variables[i]);
	check_found(&p, "unsigned long plain");
	check_found(&p, "void counter(void)");
	free(btf);
}

static void not_there(const void *arg)
{
	static const char * const names[] = { "", "n", "not", "nothing_", "page", "member" };
	static struct prototypes p;
	char text[64];
	size_t len, i;
	void *btf;

	(void)arg;
	sample();
	btf = finish(&len);
	expect_eq(prototypes_open(&p, btf, len), 0);
	for (i = 0; i < ARRAY_SIZE(names); i++) {
		expect_eq(prototypes_find(&p, names[i], true, text, sizeof(text)), -ENOENT);
		expect_eq(prototypes_find(&p, names[i], false, text, sizeof(text)), -ENOENT);
		expect_str(text, "");
	}
	expect_eq(prototypes_find(&p, "nothing", false, text, sizeof(text)), -ENOENT);
	expect_eq(prototypes_find(&p, "table", true, text, sizeof(text)), -ENOENT);
	free(btf);
}

/* Whatever is too small for the text has its beginning */
static void too_long(const void *arg)
{
	const char *want = functions[12];
	static struct prototypes p;
	size_t len, size;
	void *btf;

	(void)arg;
	sample();
	btf = finish(&len);
	expect_eq(prototypes_open(&p, btf, len), 0);
	for (size = 1; size <= strlen(want) + 1; size++) {
		char *text = malloc(size);
		int err = prototypes_find(&p, "callbacks", true, text, size);

		expect_eq(err, size > strlen(want) ? 0 : -E2BIG);
		expect_eq(strlen(text), size - 1);
		expect(!strncmp(text, want, size - 1));
		free(text);
	}
	free(btf);
}

/* Types are found by number, whatever their distance */
static void many_types(const void *arg)
{
	static const uint32_t steps[] = { 1, PROTOTYPES_STEP - 1, PROTOTYPES_STEP,
		PROTOTYPES_STEP + 1, 3 * PROTOTYPES_STEP, 3 * PROTOTYPES_STEP + 2 };
	static struct prototypes p;
	char name[32], want[64];
	uint32_t id[ARRAY_SIZE(steps)], next;
	size_t len, i;
	void *btf;

	(void)arg;
	begin();
	for (i = 0; i < ARRAY_SIZE(steps); i++) {
		while (nr_types + 1 < steps[i])
			if (nr_types % 3)
				ptr(0);
			else
				integer("", 4, 0);
		snprintf(name, sizeof(name), "s%zu", i);
		id[i] = type(BTF_KIND_STRUCT, name, 0, 0);
		expect_eq(id[i], steps[i]);
	}
	for (i = 0; i < ARRAY_SIZE(steps); i++) {
		snprintf(name, sizeof(name), "f%zu", i);
		/* a struct, and what comes only then */
		next = nr_types + 1;
		ptr(id[i]);
		function(name, PROTO(next, id[i], next + 3));
		ptr(id[0]);
	}
	btf = finish(&len);
	expect_eq(prototypes_open(&p, btf, len), 0);
	for (i = 0; i < ARRAY_SIZE(steps); i++) {
		snprintf(want, sizeof(want), "struct s%zu *f%zu(struct s%zu, struct s0 *)",
			 i, i, i);
		check_found(&p, want);
	}
	free(btf);
}

/* ---- What isn't BTF ---- */

static void check_refused(const void *btf, size_t len)
{
	static struct prototypes p;
	void *copy = malloc(len ? len : 1);

	p.nr = 1;
	memcpy(copy, btf, len);
	expect_eq(prototypes_open(&p, copy, len), -EINVAL);
	expect_eq(p.nr, 0);
	free(copy);
}

static void no_btf(const void *arg)
{
	struct btf_header *h;
	uint32_t *first;
	size_t len, i;
	char *btf;

	(void)arg;
	sample();
	btf = finish(&len);
	h = (struct btf_header *)btf;
	first = (uint32_t *)(h + 1);
	for (i = 0; i < len; i++)
		check_refused(btf, i);
#define REFUSED(lvalue, value) do {			\
		__typeof__(lvalue) *p = &(lvalue);	\
		__typeof__(lvalue) saved = *p;		\
							\
		*p = value;				\
		check_refused(btf, len);		\
		*p = saved;				\
	} while (0)
	REFUSED(h->magic, 0x9feb);
	REFUSED(h->version, 2);
	REFUSED(h->hdr_len, 20);
	REFUSED(h->hdr_len, 25);
	REFUSED(h->hdr_len, ~0U);
	REFUSED(h->type_off, 2);
	REFUSED(h->type_off, ~3U);
	REFUSED(h->type_len, ~0U);
	REFUSED(h->type_len, h->type_len - 4);
	REFUSED(h->type_len, 0);
	REFUSED(h->str_off, ~0U);
	REFUSED(h->str_len, 0);
	REFUSED(h->str_len, h->str_len - 1);
	REFUSED(h->str_len, ~0U);
	/* kinds that there may be one day */
	REFUSED(first[1], 0);
	REFUSED(first[1], 20U << 24);
	REFUSED(first[1], 31U << 24);
	free(btf);
}

/* Nothing says that the types come first, or that something comes after them */
static void types_last(const void *arg)
{
	struct {
		struct btf_header h;
		char strings[4];
		uint32_t types[12];
	} btf = {
		.h = {
			.magic = BTF_MAGIC,
			.version = BTF_VERSION,
			.hdr_len = sizeof(btf.h),
			.type_off = sizeof(btf.strings),
			.type_len = sizeof(btf.types),
			.str_len = sizeof(btf.strings),
		},
		.strings = "\0f\0",
		.types = {
			0, BTF_KIND_PTR << 24, 0,
			0, BTF_KIND_FUNC_PROTO << 24 | 1, 0, 0, 1,
			1, BTF_KIND_VAR << 24, 1, 0,
		},
	};
	static struct prototypes p;
	unsigned int cut;
	void *copy;

	(void)arg;
	copy = malloc(sizeof(btf));
	memcpy(copy, &btf, sizeof(btf));
	expect_eq(prototypes_open(&p, copy, sizeof(btf)), 0);
	expect_eq(p.nr, 3);
	check_found(&p, "void *f");
	free(copy);
	/* the last type isn't all there */
	for (cut = 1; cut < 16; cut++) {
		btf.h.type_len = sizeof(btf.types) - cut;
		check_refused(&btf, sizeof(btf) - cut);
	}
}

/* It is trusted to be BTF, not to make sense */
static void nonsense(const void *arg)
{
	static const char * const names[] = { "f1", "f2", "f3", "f4", "f5", "f6", "f7", "f8" };
	static struct prototypes p;
	uint32_t id, i;
	char text[128];
	size_t len;
	void *btf;

	(void)arg;
	begin();
	/* that refer to themselves, or to what isn't there */
	for (i = 0; i < 3; i++) {
		static const uint32_t kinds[] = { BTF_KIND_PTR, BTF_KIND_TYPEDEF, BTF_KIND_CONST };

		id = type(kinds[i], "t", 0, nr_types + 1);
		function(names[i], PROTO(0, id));
	}
	function("f4", PROTO(0, 1000000));
	function("f5", 1000000);
	id = nr_types + 1;
	function("f6", PROTO(id, id, id));
	array(nr_types + 1, 2);
	function("f7", PROTO(nr_types, NO_PARAMS));
	function("f8", id + 1);		/* a function */
	btf = finish(&len);
	expect_eq(prototypes_open(&p, btf, len), 0);
	for (i = 0; i < ARRAY_SIZE(names); i++) {
		int err = prototypes_find(&p, names[i], true, text, sizeof(text));

		expect(err == -EINVAL || err == -E2BIG);
	}
	free(btf);
}

/* Whatever is in there, nobody looks beyond or doesn't come back */
static void random_damage(const void *arg)
{
	uint64_t random = unit_seed(1);
	static struct prototypes p;
	unsigned int round, opened = 0;
	size_t len, i;

	(void)arg;
	sample();
	for (round = 0; round < 20000; round++) {
		unsigned int nr = 1 + unit_random(&random) % 3;
		char text[256], name[64];
		uint32_t *btf = finish(&len);
		bool is_function;

		while (nr--) {
			i = unit_random(&random) % (sizeof(struct btf_header) / 4 + nr_words);
			/* near by, or anything */
			btf[i] += unit_random(&random) % 2 ? unit_random(&random) % 64 - 32 :
							     unit_random(&random);
		}
		if (!prototypes_open(&p, btf, len)) {
			opened++;
			for (i = 0; i < ARRAY_SIZE(functions); i++) {
				prototype_parse(functions[i], name, sizeof(name), &is_function);
				prototypes_find(&p, name, true, text, sizeof(text));
			}
		}
		free(btf);
	}
	expect(opened > 10000);
}

/* ---- Names ---- */

static const struct {
	const char *prototype;
	const char *name;
	bool is_function;
} parsed[] = {
	{ "void f(void)", "f", true },
	{ "struct page *f2_(int)", "f2_", true },
	{ "int f(int (*)(void), int)", "f", true },
	{ "void (*handler(int))(int)", "handler", true },
	{ "int (*get(void))[4]", "get", true },
	{ "struct mm_struct init_mm", "init_mm", false },
	{ "struct page *p", "p", false },
	{ "int table[4][5]", "table", false },
	{ "void (*hook)(int)", "hook", false },
	{ "int (*hooks[4])(void)", "hooks", false },
	{ "int ABC09xyz", "ABC09xyz", false },
};

static const char * const unnamed[] = { "", "f", "f(void)", "int ", "(", "()", "*", "int *",
	"void (*)(int)", "[4]", "int (" };

static void names(const void *arg)
{
	char name[16];
	bool is_function;
	size_t i;

	(void)arg;
	for (i = 0; i < ARRAY_SIZE(parsed); i++) {
		expect(prototype_parse(parsed[i].prototype, name, sizeof(name), &is_function));
		expect_str(name, parsed[i].name);
		expect_eq(is_function, parsed[i].is_function);
	}
	for (i = 0; i < ARRAY_SIZE(unnamed); i++)
		if (!expect(!prototype_parse(unnamed[i], name, sizeof(name), &is_function)))
			printf("# that is '%s'\n", unnamed[i]);
	/* just fits, and doesn't */
	expect(prototype_parse("int abcdefghijklmno(void)", name, sizeof(name), &is_function));
	expect_str(name, "abcdefghijklmno");
	expect(!prototype_parse("int abcdefghijklmnop(void)", name, sizeof(name), &is_function));
}

/* ---- A kernel's own ---- */

static void *read_file(const char *path, size_t *len)
{
	FILE *file = path ? fopen(path, "r") : NULL;
	void *data = NULL;

	if (!file)
		return NULL;
	if (!fseek(file, 0, SEEK_END)) {
		*len = ftell(file);
		rewind(file);
		data = malloc(*len);
		if (data && fread(data, 1, *len, file) != *len)
			abort();
	}
	fclose(file);
	return data;
}

/* Of all functions in $UNIT_BTF the prototype can be had, and it says which it is of */
static void real(const void *arg)
{
	static struct prototypes p;
	unsigned int nr = 0;
	uint32_t at, i;
	size_t len = 0;
	void *btf;

	(void)arg;
	btf = read_file(getenv("UNIT_BTF"), &len);
	if (!btf || !len) {
		unit_skip("needs the BTF of a kernel in $UNIT_BTF");
		free(btf);
		return;
	}
	expect_eq(prototypes_open(&p, btf, len), 0);
	for (at = 0, i = 0; i < p.nr; i++) {
		const struct btf_type *t = type_at(&p, at);
		char text[1024], name[256];
		struct text w = { .p = &p, .buf = text, .size = sizeof(text) };
		bool is_function;

		at += type_len(t);
		if (BTF_INFO_KIND(t->info) != BTF_KIND_FUNC || nr++ % 8)
			continue;
		put_prototype(&w, t);
		expect_eq(w.err, 0);
		expect(prototype_parse(text, name, sizeof(name), &is_function));
		expect_str(name, name_of(&p, t));
		expect(is_function);
	}
	expect(nr > 10000);
	check_found(&p, "int scnprintf(char *, unsigned long, const char *, ...)");
	free(btf);
}

int main(int argc, char **argv)
{
	static const struct unit_case cases[] = {
		{ "each kind of type", each_kind, NULL },
		{ "what isn't there", not_there, NULL },
		{ "text that is too long", too_long, NULL },
		{ "many types", many_types, NULL },
		{ "what isn't BTF", no_btf, NULL },
		{ "BTF with its types last", types_last, NULL },
		{ "types that make no sense", nonsense, NULL },
		{ "random damage", random_damage, NULL },
		{ "names in prototypes", names, NULL },
		{ "a kernel's own BTF", real, NULL },
	};

	return unit_main(argc, argv, cases, ARRAY_SIZE(cases));
}
