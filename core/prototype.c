// SPDX-License-Identifier: GPL-2.0-only
/*
 * Prototypes of a kernel's functions, as its BTF has them.
 */

/**
 * DOC: how a prototype is written
 *
 * As C has it, without names of parameters, and each type in only one way, so
 * that prototypes can be compared as text:
 *
 * "struct swap_info_struct *get_swap_device(swp_entry_t)"
 *
 * A typedef is written as what it stands for: what a caller has to know isn't that
 * something is a vm_fault_t, but that this is an "unsigned int". Only a struct, union or
 * enum without a name goes by the typedef's, like swp_entry_t. Integers are
 * named by size and sign: "long long" and "long" are both "long". No parameters
 * are "void". Attributes like __user and __rcu aren't there.
 */

#include <linux/errno.h>
#include <linux/sprintf.h>
#include <linux/string.h>
#include <uapi/linux/btf.h>

#include "prototype.h"

/* How deep types may nest; what is deeper is no type that a compiler made. */
#define MAX_DEPTH	32

/* Text under construction: full, or not understood, when @err is set. */
struct text {
	const struct prototypes *p;
	char *buf;
	size_t size;
	size_t len;
	unsigned int depth;
	int err;
};

/* Bytes of a type and of what follows it; 0 when its kind isn't known. */
static u32 type_len(const struct btf_type *t)
{
	u32 nr = BTF_INFO_VLEN(t->info);

	switch (BTF_INFO_KIND(t->info)) {
	case BTF_KIND_PTR:
	case BTF_KIND_FWD:
	case BTF_KIND_TYPEDEF:
	case BTF_KIND_VOLATILE:
	case BTF_KIND_CONST:
	case BTF_KIND_RESTRICT:
	case BTF_KIND_FUNC:
	case BTF_KIND_FLOAT:
	case BTF_KIND_TYPE_TAG:
		return sizeof(*t);
	case BTF_KIND_INT:
		return sizeof(*t) + sizeof(u32);
	case BTF_KIND_ARRAY:
		return sizeof(*t) + sizeof(struct btf_array);
	case BTF_KIND_STRUCT:
	case BTF_KIND_UNION:
		return sizeof(*t) + nr * sizeof(struct btf_member);
	case BTF_KIND_ENUM:
		return sizeof(*t) + nr * sizeof(struct btf_enum);
	case BTF_KIND_ENUM64:
		return sizeof(*t) + nr * sizeof(struct btf_enum64);
	case BTF_KIND_FUNC_PROTO:
		return sizeof(*t) + nr * sizeof(struct btf_param);
	case BTF_KIND_VAR:
		return sizeof(*t) + sizeof(struct btf_var);
	case BTF_KIND_DATASEC:
		return sizeof(*t) + nr * sizeof(struct btf_var_secinfo);
	case BTF_KIND_DECL_TAG:
		return sizeof(*t) + sizeof(struct btf_decl_tag);
	default:
		return 0;
	}
}

static const struct btf_type *type_at(const struct prototypes *p, u32 at)
{
	return (const struct btf_type *)(p->types + at);
}

static bool index_types(struct prototypes *p)
{
	u32 at = 0, nr = 0, len;

	while (at < p->types_len) {
		if (p->types_len - at < sizeof(struct btf_type))
			return false;
		len = type_len(type_at(p, at));
		if (!len || len > p->types_len - at ||
		    nr == PROTOTYPES_STEP * PROTOTYPES_STEPS)
			return false;
		if (nr % PROTOTYPES_STEP == 0)
			p->at[nr / PROTOTYPES_STEP] = at;
		nr++;
		at += len;
	}
	p->nr = nr;
	return nr;
}

/**
 * prototypes_open() - look BTF through
 * @p: to be filled in
 * @btf: the BTF; stays as it is and where it is as long as @p is used
 * @len: bytes of it
 *
 * Context: any.
 * Return: 0; -EINVAL when it isn't BTF, or has types of a kind not known here.
 */
int prototypes_open(struct prototypes *p, const void *btf, size_t len)
{
	const struct btf_header *h = btf;
	u64 room;

	p->nr = 0;
	if (len < sizeof(*h) || h->magic != BTF_MAGIC ||
	    h->version != BTF_VERSION || h->hdr_len < sizeof(*h) ||
	    h->hdr_len > len || (h->hdr_len | h->type_off) % sizeof(u32))
		return -EINVAL;
	room = len - h->hdr_len;
	if ((u64)h->type_off + h->type_len > room || !h->str_len ||
	    (u64)h->str_off + h->str_len > room)
		return -EINVAL;
	p->types = (const u8 *)btf + h->hdr_len + h->type_off;
	p->types_len = h->type_len;
	p->strings = (const char *)btf + h->hdr_len + h->str_off;
	p->strings_len = h->str_len;
	if (p->strings[p->strings_len - 1] || !index_types(p))
		return -EINVAL;
	return 0;
}

/* NULL when there is none; 0 means void and isn't for here. */
static const struct btf_type *type_by_id(const struct prototypes *p, u32 id)
{
	u32 at, i;

	if (!id || id > p->nr)
		return NULL;
	id--;
	at = p->at[id / PROTOTYPES_STEP];
	for (i = id % PROTOTYPES_STEP; i; i--)
		at += type_len(type_at(p, at));
	return type_at(p, at);
}

static const char *name_of(const struct prototypes *p, const struct btf_type *t)
{
	return t->name_off < p->strings_len ? p->strings + t->name_off : "";
}

/* The kind of a type behind its typedefs and qualifiers; NULL for void and nonsense. */
static const struct btf_type *bare(const struct prototypes *p, u32 id)
{
	const struct btf_type *t;
	unsigned int i;

	for (i = 0; i < MAX_DEPTH; i++) {
		t = type_by_id(p, id);
		if (!t)
			return NULL;
		switch (BTF_INFO_KIND(t->info)) {
		case BTF_KIND_TYPEDEF:
		case BTF_KIND_VOLATILE:
		case BTF_KIND_CONST:
		case BTF_KIND_RESTRICT:
		case BTF_KIND_TYPE_TAG:
			id = t->type;
			break;
		default:
			return t;
		}
	}
	return NULL;
}

static u32 bare_kind(const struct prototypes *p, u32 id)
{
	const struct btf_type *t = bare(p, id);

	return t ? BTF_INFO_KIND(t->info) : BTF_KIND_UNKN;
}

/* In C these go around what points to them. */
static bool is_around(const struct prototypes *p, u32 id)
{
	u32 kind = bare_kind(p, id);

	return kind == BTF_KIND_ARRAY || kind == BTF_KIND_FUNC_PROTO;
}

/* Does the typedef's name have to do? */
static bool has_no_other_name(const struct prototypes *p,
			      const struct btf_type *t)
{
	const struct btf_type *of = bare(p, t->type);

	if (!of || *name_of(p, of))
		return false;
	switch (BTF_INFO_KIND(of->info)) {
	case BTF_KIND_STRUCT:
	case BTF_KIND_UNION:
	case BTF_KIND_ENUM:
	case BTF_KIND_ENUM64:
		return true;
	default:
		return false;
	}
}

static void put(struct text *w, const char *s)
{
	size_t len = strlen(s), room = w->size - 1 - w->len;

	if (w->err)
		return;
	if (len > room) {
		len = room;
		w->err = -E2BIG;
	}
	memcpy(w->buf + w->len, s, len);
	w->len += len;
	w->buf[w->len] = '\0';
}

/* Between a type and what it is the type of, unless a "*" is. */
static void put_space(struct text *w)
{
	if (w->len && w->buf[w->len - 1] != '*')
		put(w, " ");
}

static void put_tagged(struct text *w, const char *tag, const struct btf_type *t)
{
	const char *name = name_of(w->p, t);

	put(w, tag);
	if (*name) {
		put(w, " ");
		put(w, name);
	}
}

static void put_int(struct text *w, const struct btf_type *t)
{
	u32 encoding = BTF_INT_ENCODING(*(const u32 *)(t + 1));
	const char *name;

	switch (t->size) {
	case 2:
		name = "short";
		break;
	case 4:
		name = "int";
		break;
	case 8:
		name = "long";
		break;
	case 16:
		name = "__int128";
		break;
	default:
		/* A plain char has neither sign. */
		put(w, encoding & BTF_INT_BOOL ? "bool" : name_of(w->p, t));
		return;
	}
	if (!(encoding & BTF_INT_SIGNED))
		put(w, "unsigned ");
	put(w, name);
}

static void put_before(struct text *w, u32 id);

static void put_qualified(struct text *w, const char *qualifier, u32 id)
{
	if (bare_kind(w->p, id) == BTF_KIND_PTR) {
		put_before(w, id);
		put_space(w);
		put(w, qualifier);
	} else {
		put(w, qualifier);
		put(w, " ");
		put_before(w, id);
	}
}

/* What is in front of the name of a thing of this type. */
static void put_before(struct text *w, u32 id)
{
	const struct btf_type *t = type_by_id(w->p, id);

	if (!id) {
		put(w, "void");
		return;
	}
	if (!t || w->depth == MAX_DEPTH)
		w->err = w->err ?: -EINVAL;
	if (w->err)
		return;
	w->depth++;
	switch (BTF_INFO_KIND(t->info)) {
	case BTF_KIND_INT:
		put_int(w, t);
		break;
	case BTF_KIND_FLOAT:
		put(w, name_of(w->p, t));
		break;
	case BTF_KIND_STRUCT:
		put_tagged(w, "struct", t);
		break;
	case BTF_KIND_UNION:
		put_tagged(w, "union", t);
		break;
	case BTF_KIND_FWD:
		put_tagged(w, BTF_INFO_KFLAG(t->info) ? "union" : "struct", t);
		break;
	case BTF_KIND_ENUM:
	case BTF_KIND_ENUM64:
		put_tagged(w, "enum", t);
		break;
	case BTF_KIND_TYPEDEF:
		if (has_no_other_name(w->p, t))
			put(w, name_of(w->p, t));
		else
			put_before(w, t->type);
		break;
	case BTF_KIND_CONST:
		put_qualified(w, "const", t->type);
		break;
	case BTF_KIND_VOLATILE:
		put_qualified(w, "volatile", t->type);
		break;
	case BTF_KIND_RESTRICT:
		put_qualified(w, "restrict", t->type);
		break;
	case BTF_KIND_PTR:
		put_before(w, t->type);
		put_space(w);
		put(w, is_around(w->p, t->type) ? "(*" : "*");
		break;
	case BTF_KIND_ARRAY:
		put_before(w, ((const struct btf_array *)(t + 1))->type);
		break;
	case BTF_KIND_FUNC_PROTO:
	case BTF_KIND_TYPE_TAG:
		put_before(w, t->type);
		break;
	default:
		w->err = -EINVAL;
	}
	w->depth--;
}

static void put_after(struct text *w, u32 id);

static void put_params(struct text *w, const struct btf_type *t)
{
	const struct btf_param *param = (const struct btf_param *)(t + 1);
	u32 nr = BTF_INFO_VLEN(t->info), i;

	put(w, nr ? "(" : "(void");
	for (i = 0; i < nr && !w->err; i++) {
		if (i)
			put(w, ", ");
		if (!param[i].type && i && i == nr - 1) {
			put(w, "...");
			break;
		}
		put_before(w, param[i].type);
		put_after(w, param[i].type);
	}
	put(w, ")");
}

/* What is behind it. */
static void put_after(struct text *w, u32 id)
{
	const struct btf_type *t = type_by_id(w->p, id);
	const struct btf_array *array;
	char dimension[16];

	/* put_before() has been all this way: it isn't too deep. */
	if (!t || w->err)
		return;
	w->depth++;
	switch (BTF_INFO_KIND(t->info)) {
	case BTF_KIND_TYPEDEF:
		if (!has_no_other_name(w->p, t))
			put_after(w, t->type);
		break;
	case BTF_KIND_CONST:
	case BTF_KIND_VOLATILE:
	case BTF_KIND_RESTRICT:
	case BTF_KIND_TYPE_TAG:
		put_after(w, t->type);
		break;
	case BTF_KIND_PTR:
		if (is_around(w->p, t->type))
			put(w, ")");
		put_after(w, t->type);
		break;
	case BTF_KIND_ARRAY:
		array = (const struct btf_array *)(t + 1);
		snprintf(dimension, sizeof(dimension), "[%u]", array->nelems);
		put(w, dimension);
		put_after(w, array->type);
		break;
	case BTF_KIND_FUNC_PROTO:
		put_params(w, t);
		put_after(w, t->type);
		break;
	}
	w->depth--;
}

/* Of a function or variable. */
static void put_prototype(struct text *w, const struct btf_type *t)
{
	put_before(w, t->type);
	put_space(w);
	put(w, name_of(w->p, t));
	put_after(w, t->type);
}

static const struct btf_type *find(const struct prototypes *p, const char *name,
				   u32 kind)
{
	const struct btf_type *t;
	u32 at, i;

	for (at = 0, i = 0; i < p->nr; i++, at += type_len(t)) {
		t = type_at(p, at);
		if (BTF_INFO_KIND(t->info) == kind &&
		    !strcmp(name_of(p, t), name))
			return t;
	}
	return NULL;
}

/**
 * prototypes_find() - the prototype of a function or variable
 * @p: what prototypes_open() filled in
 * @name: its name
 * @is_function: else it is a variable
 * @buf: for the text, see above for how it is written; what could be had of it
 *	when this fails
 * @size: bytes of @buf, at least 1
 *
 * It looks at all types in turn: for use now and then.
 *
 * Context: any.
 * Return: 0; -ENOENT when the BTF has no such thing, which goes for all variables
 * that aren't per CPU; -E2BIG when the text is too long; -EINVAL when its type
 * makes no sense.
 */
int prototypes_find(const struct prototypes *p, const char *name,
		    bool is_function, char *buf, size_t size)
{
	struct text w = { .p = p, .buf = buf, .size = size };
	const struct btf_type *t;

	buf[0] = '\0';
	t = find(p, name, is_function ? BTF_KIND_FUNC : BTF_KIND_VAR);
	if (!t)
		return -ENOENT;
	put_prototype(&w, t);
	return w.err;
}

static bool in_name(char c)
{
	return c == '_' || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
	       (c >= 'A' && c <= 'Z');
}

/**
 * prototype_parse() - what is a prototype the prototype of?
 * @prototype: a prototype, written as above
 * @name: for the name
 * @size: bytes of @name
 * @is_function: for whether it is a function; else it is a variable
 *
 * Context: any.
 * Return: true; false when there is no name in it, or it doesn't fit.
 */
bool prototype_parse(const char *prototype, char *name, size_t size,
		     bool *is_function)
{
	const char *end = prototype, *begin;
	size_t len;

	/* The name of a function is what a "(" follows at once ... */
	do {
		end += strcspn(end, "(");
		*is_function = *end && end > prototype && in_name(end[-1]);
	} while (!*is_function && *end++);
	/* ... and that of a variable is the last one before any other bracket. */
	if (!*is_function)
		end = prototype + strcspn(prototype, "[)");
	for (begin = end; begin > prototype && in_name(begin[-1]); begin--)
		;
	len = end - begin;
	/* Something has to be in front of it: its type. */
	if (!len || begin == prototype || len >= size)
		return false;
	memcpy(name, begin, len);
	name[len] = '\0';
	return true;
}
