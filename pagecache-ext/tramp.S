/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Entry code of pmem_cachex's hooks.
 */
#include <pmem_tier/trampoline.S>

PMEM_TIER_TRAMPOLINE_ARG2 cx_tramp_unmap cx_hook_unmap
PMEM_TIER_TRAMPOLINE_ARG2 cx_tramp_evict cx_hook_evict

	.section .note.GNU-stack, "", @progbits
