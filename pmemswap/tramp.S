/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Entry code of pmemswap's hooks.
 */
#include <pmem_tier/trampoline.S>

PMEM_TIER_TRAMPOLINE ps_tramp_fault ps_hook_fault
PMEM_TIER_TRAMPOLINE ps_tramp_zswap_store ps_hook_zswap_store
PMEM_TIER_TRAMPOLINE ps_tramp_swapoff ps_hook_swapoff
PMEM_TIER_TRAMPOLINE_ARGS ps_tramp_scan ps_hook_scan

	.section .note.GNU-stack, "", @progbits
