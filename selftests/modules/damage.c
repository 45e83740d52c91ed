// SPDX-License-Identifier: GPL-2.0-only
/*
 * For tests: flips bits of a byte in memory, as if the media had done so without a word.
 */

#include <linux/io.h>
#include <linux/ioport.h>
#include <linux/mm.h>
#include <linux/module.h>

static unsigned long long at;
module_param(at, ullong, 0444);
MODULE_PARM_DESC(at, "Physical address of the byte, in persistent memory");

static unsigned char bits = 1;
module_param(bits, byte, 0444);
MODULE_PARM_DESC(bits, "The bits that are flipped");

static int __init damage_init(void)
{
	u8 *p;

	/* Whatever else is there, this guest would not live on. */
	if (region_intersects(at, 1, IORESOURCE_MEM,
			      IORES_DESC_PERSISTENT_MEMORY) != REGION_INTERSECTS)
		return -EINVAL;
	p = phys_to_virt(at);
	WRITE_ONCE(*p, *p ^ bits);
	return 0;
}

static void __exit damage_exit(void)
{
}

module_init(damage_init);
module_exit(damage_exit);
MODULE_DESCRIPTION("Test module of pmemswap: damages a byte of persistent memory");
MODULE_AUTHOR("pmemswap contributors");
MODULE_LICENSE("GPL");
