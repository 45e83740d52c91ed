/* SPDX-License-Identifier: GPL-2.0-only */
/* Host stand-in: integer types, and what the kernel gives every file. */
#ifndef _UNIT_SHIM_TYPES_H
#define _UNIT_SHIM_TYPES_H

#include_next <linux/types.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <linux/compiler.h>

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;

#endif /* _UNIT_SHIM_TYPES_H */
