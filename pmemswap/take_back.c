// SPDX-License-Identifier: GPL-2.0-only
/*
 * Taking lent pages back: after the last reference, and for swapoff.
 */
#define pr_fmt(fmt) "pmemswap: " fmt

#include <linux/memcontrol.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/sort.h>
#include <linux/static_call.h>
#include <linux/swap.h>
#include <linux/swapops.h>
#include <pmem_tier/dram.h>

#include "origin.h"
#include "pmemswap.h"
#include "trace.h"

/* swapoff calls it first of all, once no new entry can be allocated. */
static struct pmem_tier_hook swapoff_hook = {
	.prototype = "void disable_swap_slots_cache_lock(void)",
	.trampoline = ps_tramp_swapoff,
};

DEFINE_STATIC_CALL_NULL(ps_free_swap_and_cache_nr, free_swap_and_cache_nr);

/* Frees in the background; separate, so that unloading can wait for it. */
static struct workqueue_struct *return_wq;

static void ps_return_work(struct work_struct *work);

/**
 * ps_take_back_setup() - prepare a device for lending
 * @ps: the device, new
 *
 * Context: any.
 */
void ps_take_back_setup(struct pmemswap *ps)
{
	init_llist_head(&ps->returned);
	INIT_WORK(&ps->return_work, ps_return_work);
	atomic_long_set(&ps->orphans, 0);
	ps->fault_around_pages = 16;
	ps->map_faults = PS_MAP_OFF;
}

/**
 * ps_page_free() - mm dropped the last reference to a lent page
 * @tier: the tier
 * @page: the page
 *
 * Freeing the swap entry takes locks that can't be had here.
 *
 * Context: any, interrupts in any state.
 */
void ps_page_free(struct pmem_tier *tier, struct page *page)
{
	struct pmemswap *ps = tier->priv[PMEM_TIER_SWAP];

	BUILD_BUG_ON(sizeof(struct llist_node) !=
		     sizeof(page->zone_device_data));
	set_page_private(page, (unsigned long)page->zone_device_data);
	if (llist_add((struct llist_node *)&page->zone_device_data,
		      &ps->returned))
		queue_work(return_wq, &ps->return_work);
}

/**
 * ps_orphan() - a lent page loses its slot
 * @ps: the device
 *
 * The module stays while such pages are out there; take_back() lets it go.
 *
 * Context: any but interrupts.
 */
void ps_orphan(struct pmemswap *ps)
{
	if (atomic_long_inc_return(&ps->orphans) == 1)
		__module_get(THIS_MODULE);
}

static void orphan_returned(struct pmemswap *ps)
{
	if (atomic_long_dec_and_test(&ps->orphans))
		module_put(THIS_MODULE);
}

/*
 * Others refer to the entry, and the page's data is theirs: it was shared, and has moved. So
 * the slot is raw again.
 */
static bool keep_data(struct pmemswap *ps, struct slot *slot,
		      unsigned long index, swp_entry_t entry)
{
	if (!slot_change_if(slot, slot_word(SLOT_MOVING, index),
			    ps_raw_word(index)))
		return false;
	ps_count(ps, PS_SHARED, -1);
	ps_count(ps, PS_LENT, -1);
	static_call(ps_free_swap_and_cache_nr)(entry, 1);
	return true;
}

/*
 * A returned page goes back to the pool. If it is still its slot's, that is empty
 * now, and its swap entry, whose reference the page held, can go: then this
 * returns true.
 */
static bool take_back(struct pmemswap *ps, struct page *page)
{
	swp_entry_t entry = { .val = page_private(page) };
	unsigned long index = pmem_tier_page_index(ps->tier, page);
	struct mem_cgroup *memcg = to_memcg(entry.val);
	bool held = false;

	if (!is_memcg(entry.val)) {
		struct slot *slot = &ps->slots[swp_offset(entry)];

		held = slot_change_if(slot, slot_word(SLOT_LENT, index),
				      slot_word(SLOT_EMPTY, 0));
		if (!held && keep_data(ps, slot, index, entry))
			return false;
	}
	trace_take_back(ps->id, index, held ? swp_offset(entry) : 0, !held);
	pmem_tier_free(ps->tier, index, PMEM_TIER_SWAP);
	if (held)
		return true;
	if (memcg)
		css_put(&memcg->css);
	orphan_returned(ps);
	return false;
}

static int compare_entries(const void *a, const void *b)
{
	const swp_entry_t *x = a, *y = b;

	return x->val < y->val ? -1 : x->val > y->val;
}

/* How many of the first entries are neighbours, all charged to one cgroup? */
static unsigned int run_length(const swp_entry_t *entry, unsigned int nr)
{
	unsigned int n = 1;

	/* Together they are freed within a cluster only: 256 slots, or 512. */
	while (n < nr && entry[n].val == entry[0].val + n &&
	       swp_offset(entry[n]) % PS_FREE_BATCH &&
	       ps_charge_same(entry[0], entry[n]))
		n++;
	return n;
}

/* Free swap entries, with as few calls as there are runs of them. */
static void free_entries(swp_entry_t *entry, unsigned int nr)
{
	unsigned int i, n, breaks = 0;

	for (i = 1; i < nr; i++)
		breaks += entry[i].val != entry[i - 1].val + 1;
	/* Sorting costs more than what few runs can win. */
	if (breaks > nr / 4)
		sort(entry, nr, sizeof(*entry), compare_entries, NULL);
	for (i = 0; i < nr; i += n) {
		n = run_length(entry + i, nr - i);
		static_call(ps_free_swap_and_cache_nr)(entry[i], n);
	}
}

/* Their slots are empty already. */
static void free_returned(struct pmemswap *ps, swp_entry_t *entry,
			  unsigned int nr)
{
	free_entries(entry, nr);
	ps_count(ps, PS_FREED, nr);
	ps_count(ps, PS_SLOTS_RAW, -(long)nr);
	ps_count(ps, PS_LENT, -(long)nr);
}

/**
 * ps_lent_memcg() - the cgroup that a lent page belongs to
 * @ps: the device
 * @page: the page; the caller has a reference to it
 *
 * Context: process context.
 * Return: the cgroup, with a reference for the caller; NULL when there is none any
 * more.
 */
struct mem_cgroup *ps_lent_memcg(struct pmemswap *ps, struct page *page)
{
	unsigned long origin = lent_origin(page);
	unsigned long index = pmem_tier_page_index(ps->tier, page);
	struct mem_cgroup *memcg;

	if (!is_memcg(origin)) {
		swp_entry_t entry = { .val = origin };
		struct slot *slot = &ps->slots[swp_offset(entry)];
		bool held;

		/* Under the lock the entry is this page's. */
		slot_lock(slot);
		held = slot_get(slot) == slot_word(SLOT_LENT, index) ||
		       slot_get(slot) == slot_word(SLOT_SHARED, index) ||
		       slot_get(slot) == slot_word(SLOT_MOVING, index);
		memcg = held ? ps_charge_find(entry) : NULL;
		slot_unlock(slot);
		if (held)
			return memcg;
		/* swapoff has just been here. */
		origin = lent_origin(page);
	}
	memcg = to_memcg(origin);
	return pmem_tier_memcg_get(memcg);
}

static void ps_return_work(struct work_struct *work)
{
	struct pmemswap *ps = container_of(work, struct pmemswap, return_work);
	swp_entry_t *end = ps->freeing + PS_FREE_BATCH, *first = end;
	struct llist_node *node, *next;
	unsigned int seen = 0;

	node = llist_del_all(&ps->returned);
	llist_for_each_safe(node, next, node) {
		void **data = (void **)node;
		struct page *page = container_of(data, struct page,
						 zone_device_data);

		/* The list has the last one first: from the end they are in order. */
		(--first)->val = page_private(page);
		if (!take_back(ps, page))
			first++;
		if (first == ps->freeing) {
			free_returned(ps, first, PS_FREE_BATCH);
			first = end;
		}
		if (++seen % PS_FREE_BATCH == 0)
			cond_resched();
	}
	free_returned(ps, first, end - first);
	pmem_tier_idle();
}

/* Entries that swapoff frees at a time, on the stack. */
#define ORPHAN_BATCH	64

/* Part a slot from its page, if that is lent. Returns true when it was. */
static bool orphan_slot(struct pmemswap *ps, struct slot *slot,
			swp_entry_t entry)
{
	struct page *page;
	bool alive;

	/* Most are empty. */
	if (slot_kind(READ_ONCE(slot->word)) == SLOT_EMPTY)
		return false;
	if (ps_shared_leave(ps, entry))
		return true;
	/* Under lock: pairs with lend(), see there. */
	slot_lock(slot);
	if (slot_kind(slot_get(slot)) != SLOT_LENT) {
		slot_unlock(slot);
		return false;
	}
	page = pmem_tier_index_page(ps->tier, slot_payload(slot_get(slot)));
	/* A page on its way back is charged to nobody any more. */
	alive = folio_try_get(page_folio(page));
	if (alive) {
		struct mem_cgroup *memcg = ps_charge_find(entry);

		WRITE_ONCE(page->zone_device_data,
			   memcg ?: (void *)NO_MEMCG);
	}
	slot_set(slot, slot_word(SLOT_EMPTY, 0));
	ps_orphan(ps);
	slot_unlock(slot);
	if (alive)
		put_page(page);

	ps_count(ps, PS_LENT, -1);
	ps_count(ps, PS_SLOTS_RAW, -1);
	return true;
}

/*
 * swapoff begins on this device. It would wait for the entries that lent pages hold, so
 * these let go: a lent page without a slot stays what it is to mm, it just can't
 * be had back in place. No page is lent from here on.
 */
static void ps_swapoff_begins(struct pmemswap *ps)
{
	struct swap_info_struct *si = ps_get_si(ps);
	swp_entry_t entry[ORPHAN_BATCH];
	unsigned long offset;
	unsigned int nr = 0;

	if (!si)
		return;
	/* It isn't this one. */
	if (READ_ONCE(si->flags) & SWP_WRITEOK)
		goto out;

	/* One for the walk, so that the count can't come to 0 under it. */
	ps_orphan(ps);

	if (READ_ONCE(ps->map_faults) == PS_MAP_ALL)
		ps_unuse(ps, si);
	for (offset = 1; offset < ps->nr_slots; offset++) {
		entry[nr] = swp_entry(si->type, offset);
		nr += orphan_slot(ps, &ps->slots[offset], entry[nr]);
		if (offset % ORPHAN_BATCH == 0)
			cond_resched();
		if (nr < ORPHAN_BATCH)
			continue;
		free_entries(entry, nr);
		nr = 0;
	}
	free_entries(entry, nr);
	orphan_returned(ps);
out:
	percpu_ref_put(&si->users);
}

/**
 * ps_hook_swapoff() - before disable_swap_slots_cache_lock(), always followed by it
 *
 * There is no argument: the device is the one that can't be written to any more.
 *
 * Context: process context, may sleep.
 * Return: PMEM_TIER_HOOK_PASS.
 */
asmlinkage unsigned int ps_hook_swapoff(void)
{
	pmem_tier_hook_enter(&swapoff_hook);
	ps_each_device(ps_swapoff_begins);
	pmem_tier_hook_exit(&swapoff_hook);
	return PMEM_TIER_HOOK_PASS;
}

/**
 * ps_take_back_init() - set up what takes pages back
 *
 * Context: process context, may sleep.
 * Return: 0 or -ENOMEM.
 */
int ps_take_back_init(void)
{
	/* Reclaim may wait for what it frees. */
	return_wq = alloc_workqueue("pmemswap_return", WQ_MEM_RECLAIM, 0);
	return return_wq ? 0 : -ENOMEM;
}

/**
 * ps_take_back_exit() - undo ps_take_back_init()
 *
 * Context: process context, may sleep; no page is lent and no device is left.
 */
void ps_take_back_exit(void)
{
	destroy_workqueue(return_wq);
}

/**
 * ps_take_back_enable() - make sure that lent pages can be taken back
 *
 * Context: process context, may sleep.
 * Return: 0, or a negative error: then no page may be lent.
 */
int ps_take_back_enable(void)
{
	void *free = pmem_tier_symbol(&ps_map_in_feature,
				      "void free_swap_and_cache_nr(swp_entry_t, int)");

	if (!free)
		return -EOPNOTSUPP;
	static_call_update(ps_free_swap_and_cache_nr, free);
	return pmem_tier_hook_install(&swapoff_hook, &ps_map_in_feature);
}

/**
 * ps_take_back_disable() - undo ps_take_back_enable()
 *
 * Context: process context, may sleep; no page holds a swap entry.
 */
void ps_take_back_disable(void)
{
	pmem_tier_hook_remove(&swapoff_hook);
}
