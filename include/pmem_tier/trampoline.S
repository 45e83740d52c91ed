/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Entry code of hooks: a macro for the frontends' assembly files.
 */
#include <linux/linkage.h>
#include <asm/nospec-branch.h>
#include <asm/unwind_hints.h>

/* The handler has returned: the hooked function runs, or its caller goes on with what is in %eax. */
.macro PMEM_TIER_PASS_OR_RETURN
	leave
	testl	%eax, %eax
	js	1f
	addq	$8, %rsp
	UNWIND_HINT_FUNC
	RET
1:	RET
.endm

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
	PMEM_TIER_PASS_OR_RETURN
SYM_FUNC_END(\name)
.endm

/*
 * The same for a function of two arguments whose second one the handler may replace.
 * It gets both and returns a struct pmem_tier_hook_arg: what the hooked function
 * gets as its second argument, and whether it is to be left out instead.
 */
.macro PMEM_TIER_TRAMPOLINE_ARG2 name handler
SYM_FUNC_START(\name)
	pushq	%rbp
	movq	%rsp, %rbp
	CALL_DEPTH_ACCOUNT
	pushq	%rdi
	subq	$8, %rsp		/* the ABI wants 16-byte alignment */
	call	\handler
	movq	-8(%rbp), %rdi
	leave
	testl	%edx, %edx
	jnz	1f
	movq	%rax, %rsi
	RET
1:	addq	$8, %rsp
	UNWIND_HINT_FUNC
	RET
SYM_FUNC_END(\name)
.endm

/*
 * As PMEM_TIER_TRAMPOLINE, for functions of up to five arguments: the handler gets the
 * first, and the hooked function finds all of them.
 */
.macro PMEM_TIER_TRAMPOLINE_ARGS name handler
SYM_FUNC_START(\name)
	pushq	%rbp
	movq	%rsp, %rbp
	CALL_DEPTH_ACCOUNT
	pushq	%rdi
	pushq	%rsi
	pushq	%rdx
	pushq	%rcx
	pushq	%r8
	subq	$8, %rsp		/* the ABI wants 16-byte alignment */
	call	\handler
	addq	$8, %rsp
	popq	%r8
	popq	%rcx
	popq	%rdx
	popq	%rsi
	popq	%rdi
	PMEM_TIER_PASS_OR_RETURN
SYM_FUNC_END(\name)
.endm
