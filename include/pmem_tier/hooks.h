/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Replacing or observing kernel functions, through ftrace's direct calls.
 */
#ifndef _PMEM_TIER_HOOKS_H
#define _PMEM_TIER_HOOKS_H

#define PMEM_TIER_HOOK_PASS	0x80000000

#ifdef __ASSEMBLY__

#include <linux/linkage.h>
#include <asm/nospec-branch.h>
#include <asm/unwind_hints.h>

/*
 * The code that ftrace calls from the first instruction of a hooked function. On
 * the stack are the return address into that function and above it the one into
 * its caller. If the handler, a C function with the hooked one's first
 * argument, returns something without PMEM_TIER_HOOK_PASS, that is what the
 * caller gets and the hooked function doesn't run; else it runs as ever. Nothing
 * calls the hooked function here, so there is no recursion to guard against.
 */
.macro PMEM_TIER_TRAMPOLINE name handler
SYM_FUNC_START(\name)
	pushq	%rbp
	movq	%rsp, %rbp
	CALL_DEPTH_ACCOUNT
	pushq	%rdi
	subq	$8, %rsp		/* the ABI wants 16-byte alignment */
	call	\handler
	movq	-8(%rbp), %rdi
	leave
	testl	%eax, %eax
	js	1f
	addq	$8, %rsp
	UNWIND_HINT_FUNC
	RET
1:	RET
SYM_FUNC_END(\name)
.endm

#else /* !__ASSEMBLY__ */

#include <linux/ftrace.h>
#include <linux/percpu.h>
#include <linux/types.h>

/**
 * struct pmem_tier_hook - one hooked function
 * @function: its name
 * @purpose: what doesn't work without it, for the operator
 * @trampoline: code made by PMEM_TIER_TRAMPOLINE
 * @ops: ftrace's
 * @inflight: per CPU, entries to less exits from the handler
 * @installed: it is in place
 */
struct pmem_tier_hook {
	const char *function;
	const char *purpose;
	void (*trampoline)(void);
	struct ftrace_ops ops;
	long __percpu *inflight;
	bool installed;
};

/* First and last thing that a handler does: unloading waits for the difference. */
static inline void pmem_tier_hook_enter(struct pmem_tier_hook *hook)
{
	this_cpu_inc(*hook->inflight);
}

static inline void pmem_tier_hook_exit(struct pmem_tier_hook *hook)
{
	this_cpu_dec(*hook->inflight);
}

int pmem_tier_hook_install(struct pmem_tier_hook *hook);
void pmem_tier_hook_remove(struct pmem_tier_hook *hook);
unsigned long pmem_tier_symbol(const char *name);

#endif /* !__ASSEMBLY__ */
#endif /* _PMEM_TIER_HOOKS_H */
