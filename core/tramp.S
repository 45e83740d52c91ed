/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Entry code of core's hooks.
 */
#include <pmem_tier/trampoline.S>

PMEM_TIER_TRAMPOLINE tier_tramp_long_pin tier_hook_long_pin

	.section .note.GNU-stack, "", @progbits
