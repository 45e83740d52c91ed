/* SPDX-License-Identifier: GPL-2.0-only */
/* Host stand-in: the format of BTF, which is the same for all. */
#ifndef _UNIT_SHIM_UAPI_BTF_H
#define _UNIT_SHIM_UAPI_BTF_H

#include <linux/btf.h>

#endif /* _UNIT_SHIM_UAPI_BTF_H */
