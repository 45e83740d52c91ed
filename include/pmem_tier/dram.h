/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Room in DRAM for pages that move there from pmem.
 */
#ifndef _PMEM_TIER_DRAM_H
#define _PMEM_TIER_DRAM_H

#include <linux/types.h>

struct mem_cgroup;

long pmem_tier_spare_dram(void);
bool pmem_tier_short_of_dram(void);
struct mem_cgroup *pmem_tier_memcg_get(struct mem_cgroup *memcg);
bool pmem_tier_memcg_room(struct mem_cgroup *memcg);
unsigned long pmem_tier_root_memcg(void);

#endif /* _PMEM_TIER_DRAM_H */
