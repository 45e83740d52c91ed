// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memory for the stand-ins: remembers what was allocated and how. Not for use in threads.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <linux/mm.h>

#define MAX_PIECES	16

struct piece {
	void *p;
	size_t bytes;
	int from;
};

static struct piece pieces[MAX_PIECES];
static int fail_after = -1;

__thread uint32_t shim_perturb_seed;
__thread void (*shim_interrupt)(void);

static struct piece *find_piece(const void *p)
{
	for (size_t i = 0; i < MAX_PIECES; i++)
		if (pieces[i].p == p)
			return &pieces[i];
	fprintf(stderr, p ? "%p isn't allocated\n" : "too many allocations\n", p);
	abort();
}

void *shim_zalloc(int from, size_t bytes)
{
	struct piece *piece = find_piece(NULL);
	void *p;

	if (fail_after >= 0 && fail_after-- == 0)
		return NULL;
	/* Exactly this many bytes, so that the sanitizer sees who goes too far */
	if (posix_memalign(&p, 64, bytes))
		abort();
	memset(p, 0, bytes);
	*piece = (struct piece){ .p = p, .bytes = bytes, .from = from };
	return p;
}

void shim_free(int from, const void *p)
{
	struct piece *piece;

	if (!p)
		return;
	piece = find_piece(p);
	if (!(piece->from & from)) {
		fprintf(stderr, "%p goes back to another allocator\n", p);
		abort();
	}
	free(piece->p);
	memset(piece, 0, sizeof(*piece));
}

void shim_fail_alloc(int n)
{
	fail_after = n;
}

unsigned int shim_live_pieces(void)
{
	unsigned int n = 0;

	for (size_t i = 0; i < MAX_PIECES; i++)
		n += !!pieces[i].p;
	return n;
}

size_t shim_live_bytes(void)
{
	size_t bytes = 0;

	for (size_t i = 0; i < MAX_PIECES; i++)
		bytes += pieces[i].from == SHIM_VMALLOC ? PAGE_ALIGN(pieces[i].bytes) :
							  pieces[i].bytes;
	return bytes;
}
