#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# vm: --mem 1G --nvdimm 512M --nvdimm 256M
# timeout: 600
# Mapping on page-in and VMAs: faults stay within theirs, mprotect, mremap, private pages of files,
# memory of other processes, soft-dirty bits.

# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/../lib/mapping.sh"

mapping_device
ktap_plan 24
t 'VMAs side by side, one page a fault' in_c 1 vmas borders 1
t 'VMAs side by side, 2 around' in_c 2 vmas borders 2
t 'VMAs side by side, 16 around' in_c 16 vmas borders 16
t 'VMAs side by side, 512 around' in_c 512 vmas borders 512
t 'no access while swapped out, and back' in_c 16 vmas none-and-back 0
t 'no access while lent, and back' in_c 16 vmas none-and-back 1
t 'neighbours that can only be read' in_c 16 vmas readonly
t 'read and written by force, no access' in_c 16 vmas forced 0
t 'read and written by force, read only' in_c 16 vmas forced 1
t 'swapoff of what nobody may touch' in_c 16 vmas swapoff
t 'mremap of what is swapped out' in_c 16 vmas moved 0
t 'mremap of what is lent' in_c 16 vmas moved 1
t 'mremap of what is partly lent' in_c 16 vmas moved 2
t 'mremap in place, longer and shorter' in_c 512 vmas resized
t 'private pages of a file, in before a fork' in_c 16 vmas private-file 0
t 'private pages of a file, swapped out before a fork' in_c 16 vmas private-file 1
t 'private pages of a file with huge pages' in_c 16 vmas private-huge
t 'read and written by another process' in_c 16 vmas other-process
t 'soft-dirty: read first' in_c 16 softdirty read-first
t 'soft-dirty: written first' in_c 16 softdirty write-first
t 'soft-dirty: cleared while swapped out' in_c 16 softdirty clear-while-out
t 'soft-dirty: cleared while lent' in_c 16 softdirty clear-while-lent
t 'soft-dirty: drained and paged out again' in_c 16 softdirty moved
t 'soft-dirty: swapoff' in_c 16 softdirty swapoff
