// SPDX-License-Identifier: GPL-2.0-only
/*
 * Unexported functions and variables of the kernel: found, and of the type they were written for.
 */
#define pr_fmt(fmt) "pmem_tier: " fmt

#include <linux/kallsyms.h>
#include <linux/kprobes.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/static_call.h>
#include <linux/string.h>
#include <pmem_tier/hooks.h>

#include "core.h"
#include "prototype.h"

/*
 * A sealed function has no ENDBR: an indirect call of it traps on hardware with
 * IBT. Static calls are direct calls.
 */
DEFINE_STATIC_CALL_NULL(tier_each_symbol, kallsyms_on_each_match_symbol);

/* symbols_lock protects what is found at the first use: the static call and kernel_types. */
static DEFINE_MUTEX(symbols_lock);
static struct prototypes kernel_types;

/* What has a name: @addr is the last one's when there are more. */
struct match {
	unsigned long addr;
	unsigned int nr;
};

/* Address of kallsyms' search: kprobes still find unexported names. */
static unsigned long find_kallsyms(void)
{
	/*
	 * Not armed: only the address is wanted. And where ftrace is switched off, arming it and
	 * taking it away would leave ftrace's records in disorder, which it finds when its last
	 * user goes.
	 */
	struct kprobe kp = {
		.symbol_name = "kallsyms_on_each_match_symbol",
		.flags = KPROBE_FLAG_DISABLED,
	};
	char sym[KSYM_SYMBOL_LEN];
	unsigned long addr, offset;
	char *plus;

	if (register_kprobe(&kp))
		return 0;
	addr = (unsigned long)kp.addr;
	unregister_kprobe(&kp);

	/* The probe may sit behind an ENDBR: go back to the first byte. */
	sprint_symbol(sym, addr);
	plus = strchr(sym, '+');
	if (!plus || sscanf(plus, "+0x%lx/", &offset) != 1)
		return 0;
	return addr - offset;
}

static int add_match(void *data, unsigned long addr)
{
	struct match *match = data;

	match->addr = addr;
	match->nr++;
	return 0;
}

/* In the kernel itself: modules don't count. */
static struct match find_symbol(const char *name)
{
	struct match match = {};

	if (static_call_query(tier_each_symbol))
		static_call(tier_each_symbol)(add_match, name, &match);
	return match;
}

static void find_types(void)
{
	struct match start = find_symbol("__start_BTF");
	struct match stop = find_symbol("__stop_BTF");

	if (start.nr != 1 || stop.nr != 1 || start.addr >= stop.addr)
		pr_info("the kernel has no BTF: the types of its functions can't be checked\n");
	else if (prototypes_open(&kernel_types, (void *)start.addr,
				 stop.addr - start.addr))
		pr_warn("the kernel's BTF can't be read: the types of its functions can't be checked\n");
}

static void prepare(void)
{
	static bool prepared;
	unsigned long addr;

	mutex_lock(&symbols_lock);
	if (!prepared) {
		prepared = true;
		addr = find_kallsyms();
		if (addr) {
			static_call_update(tier_each_symbol, (void *)addr);
			find_types();
		} else {
			pr_warn("no function of the kernel can be found: is it without kprobes?\n");
		}
	}
	mutex_unlock(&symbols_lock);
}

static bool type_is_right(struct pmem_tier_feature *feature,
			  const char *prototype, const char *name,
			  bool is_function)
{
	char found[PMEM_TIER_PROTOTYPE_LEN];
	int err;

	if (!kernel_types.nr) {
		tier_feature_unchecked(feature, "all, the kernel has no BTF");
		return true;
	}
	err = prototypes_find(&kernel_types, name, is_function, found,
			      sizeof(found));
	/* BTF has no variables but those that are per CPU. */
	if (err == -ENOENT && !is_function) {
		tier_feature_unchecked(feature, name);
		return true;
	}
	/* It has all functions but those that the compiler changed the type of. */
	if (err == -ENOENT)
		pmem_tier_feature_off(feature,
				      "expected \"%s\", the kernel's BTF has no such function",
				      prototype);
	else if (err || strcmp(found, prototype))
		pmem_tier_feature_off(feature, "expected \"%s\", the kernel has \"%s%s\"",
				      prototype, found, err ? "..." : "");
	else
		return true;
	return false;
}

/**
 * pmem_tier_symbol() - address of an unexported function or variable of the kernel
 * @feature: what it is for: off when there is no such thing, more than one, or one
 *	of another type
 * @prototype: what the caller takes it for, such as
 *	"struct anon_vma *folio_get_anon_vma(struct folio *)"; core/prototype.c says how
 *	types are written
 *
 * The type is compared with what the running kernel's BTF says. Without BTF, and
 * for variables that it doesn't have (those that aren't per CPU), it is taken for
 * granted that the headers which the module was built with are right, and the
 * feature says so.
 *
 * Context: process context, may sleep.
 * Return: the address, for static_call_update(), or NULL.
 */
void *pmem_tier_symbol(struct pmem_tier_feature *feature, const char *prototype)
{
	char name[PMEM_TIER_PROTOTYPE_LEN];
	struct match match;
	bool is_function;

	prepare();
	if (!prototype_parse(prototype, name, sizeof(name), &is_function)) {
		pmem_tier_feature_off(feature, "\"%s\" is no prototype",
				      prototype);
		return NULL;
	}
	match = find_symbol(name);
	if (match.nr == 1)
		return type_is_right(feature, prototype, name, is_function) ?
			       (void *)match.addr : NULL;
	pmem_tier_feature_off(feature, "the kernel has %s %s",
			      match.nr ? "more than one" : "no", name);
	return NULL;
}
EXPORT_SYMBOL_GPL(pmem_tier_symbol);
