#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# vm: --mem 1G --nvdimm 512M --nvdimm 256M
# timeout: 600
# userfaultfd on memory that is mapped on page-in: protected pages stay protected, events are exact.

# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/../lib/mapping.sh"

mapping_device
ktap_plan 18
t 'write-protected, read first, one page a fault' in_c 1 uffd wp-read 1
t 'write-protected, read first, 16 around' in_c 16 uffd wp-read 16
t 'write-protected, read first, 512 around' in_c 512 uffd wp-read 64
t 'write-protected, written first, one page a fault' in_c 1 uffd wp-write 1
t 'write-protected, written first, 16 around' in_c 16 uffd wp-write 16
t 'protected while swapped out' in_c 16 uffd wp-while-out
t 'protected while lent' in_c 16 uffd wp-while-lent
t 'write-protected without a handler' in_c 16 uffd wp-async
t 'drain keeps them protected' in_c 16 uffd wp-drain
t 'swapoff keeps them protected' in_c 16 uffd wp-swapoff
t 'fork of what is protected and swapped out' in_c 16 uffd wp-fork 0
t 'fork of what is protected and lent' in_c 16 uffd wp-fork 1
t 'protected holes among those swapped out' in_c 16 uffd wp-holes
t 'missing pages among those swapped out' in_c 16 uffd missing
t 'minor faults on shared memory' in_c 16 uffd minor
t 'UFFDIO_MOVE of what is swapped out' in_c 16 uffd move 0
t 'UFFDIO_MOVE of what is lent' in_c 16 uffd move 1
t 'the modules can go' unload pmemswap pmem_tier
