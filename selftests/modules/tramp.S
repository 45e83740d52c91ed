/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Entry code of pmem_tier_try's hook.
 */
#include <pmem_tier/trampoline.S>

PMEM_TIER_TRAMPOLINE_ARGS try_tramp try_handler

	.section .note.GNU-stack, "", @progbits
