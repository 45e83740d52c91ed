// SPDX-License-Identifier: GPL-2.0-only
/*
 * The swap header that block 0 presents: no mkswap needed.
 */

#include <linux/string.h>
#include <linux/swap.h>

#include "pmemswap.h"

/**
 * ps_header_fill() - make the swap header of a device
 * @ps: the device
 * @page: where PAGE_SIZE bytes go
 *
 * What mkswap would write, with the device's name as its label and the tier's
 * UUID. It is made for each read and takes no page.
 *
 * Context: any.
 */
void ps_header_fill(const struct pmemswap *ps, void *page)
{
	union swap_header *header = page;

	memset(page, 0, PAGE_SIZE);
	header->info.version = 1;
	/* A swap device has no more, whatever the header says. */
	header->info.last_page = min_t(u64, ps->nr_slots - 1, U32_MAX);
	export_uuid(header->info.sws_uuid, &ps->tier->uuid);
	strscpy((char *)header->info.sws_volume, ps->disk->disk_name,
		sizeof(header->info.sws_volume));
	memcpy(header->magic.magic, "SWAPSPACE2", sizeof(header->magic.magic));
}
