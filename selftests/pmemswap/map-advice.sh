#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# vm: --mem 1G --nvdimm 512M --nvdimm 256M
# timeout: 600
# Mapping on page-in with madvise(), mlock(), pins and accessed bits.

# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/../lib/mapping.sh"

mapping_device
ktap_plan 26
t 'MADV_DONTNEED, and neighbours come in' in_c 16 advice dontneed
t 'MADV_FREE of what is swapped out' in_c 16 advice free 0
t 'MADV_FREE of what is lent' in_c 16 advice free 1
t 'MADV_DONTFORK and MADV_WIPEONFORK, swapped out' in_c 16 advice fork 0
t 'MADV_DONTFORK and MADV_WIPEONFORK, lent' in_c 16 advice fork 1
t 'MADV_POPULATE_READ' in_c 16 advice populate 0
t 'MADV_POPULATE_WRITE' in_c 16 advice populate 1
t 'MADV_WILLNEED' in_c 16 advice willneed
t 'MADV_COLD and MADV_PAGEOUT of what is lent' in_c 16 advice cold
t 'MADV_COLLAPSE of what is swapped out' in_c 16 advice collapse 0
t 'MADV_COLLAPSE of what is lent' in_c 16 advice collapse 1
t 'MADV_COLLAPSE of what is partly lent' in_c 16 advice collapse 2
t 'MADV_COLLAPSE of what is partly in DRAM' in_c 16 advice collapse 3
t 'MADV_SOFT_OFFLINE and move_pages()' in_c 16 advice offline
t 'mlock() brings pages to DRAM' in_c 16 advice lock 0
t 'mlock2() on fault brings pages to DRAM' in_c 16 advice lock 1
t 'mlockall() on fault brings pages to DRAM' in_c 16 advice lock 2
t 'mlock() of what is lent' in_c 16 advice lock-lent 0
t 'mlock() of what is partly lent' in_c 16 advice lock-lent 1
t 'exit with lent pages locked' in_c 16 advice lock-gone 0
t 'munmap() of lent pages that are locked' in_c 16 advice lock-gone 1
t 'locked, unlocked and locked again' in_c 16 advice lock-gone 2
t 'locked, and copied for a write' in_c 16 advice lock-copied
t 'locked, but in a pipe' in_c 16 advice lock-pinned
t 'pinned for long while somebody holds them' in_c 16 advice pin-held
t 'neighbours are old until they are used' in_c 16 advice young
