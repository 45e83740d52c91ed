// SPDX-License-Identifier: GPL-2.0-only
/*
 * The one place that defines the tracepoints.
 */

#include "compress.h"
#include "pmemswap.h"

#define CREATE_TRACE_POINTS
#include "trace.h"
