#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# vm: --mem 768M --nvdimm 128M --disk 320M --disk 320M --disk 320M --disk 8M --disk 8M --disk 8M --reboot
# timeout: 600
# The machine is reset while files are written and their pages are in pmem. After that all filesystems are
# intact, and what had been synced is there. Runs twice: before the reset and after it.

# shellcheck source-path=SCRIPTDIR
# shellcheck disable=SC2317 # cases_done calls them
. "$(dirname "$0")/../lib/cachex.sh"

need_namespaces 1
read -ra DISKS <<<"${PMEMSWAP_DISKS:-}"
(( ${#DISKS[@]} >= 6 )) || skip 'needs three disks for filesystems and three for ledgers'
KINDS=(ext4 xfs btrfs)
SEED=${CRASH_SEED:-$RANDOM}

# enough FILESYSTEM...: each has pages in pmem, and at least one of its files synced (4 MiB)
enough()
{
	local fs

	for fs; do
		(( $(<"$CX/target_stats/$fs/stored_pages") >= 2000 )) || return
	done
}

# check_files [CGROUP DIRECTORY]
check_files() { cg_run "${1:-$CG_ROOT}" "$PROGS/filecrash" --dir "$MNT" --ledger "$LEDGER" --check; }

# All three at the same time. Doesn't return.
before()
{
	local i pids=() numbers=()

	cachex ''
	for i in 0 1 2; do
		MNT=/tmp/mnt$i
		DISK=${DISKS[i]}
		fs_on "${KINDS[i]}"
		at_exit umount "$MNT"
		numbers+=("$(fs_number)")
		squeezed "c$i" 12M
		cg_exec "$CG" "$PROGS/filecrash" --dir "$MNT" --ledger "${DISKS[i + 3]}" \
			--seed "$SEED" --at $((SEED % 5000)) reset &
		pids+=($!)
	done
	_write $CX/targets "${numbers[*]}"
	_write $CX/promote_pages_per_second 1000000
	loop_until 60 enough "${numbers[@]}"
	kill -USR1 "${pids[@]}"
	wait -n || echo "status $?"
	fail 'no reset'
}

# after NUMBER: of the filesystem
after()
{
	FS=${KINDS[$1]}
	DISK=${DISKS[$1]}
	LEDGER=${DISKS[$1 + 3]}
	mkdir -p "$MNT"
	mount -t "$FS" "$DISK" "$MNT"
	at_exit fs_off
	check_files
	fs_check
	mount -t "$FS" "$DISK" "$MNT"
	cachex "$(fs_number)"
	squeezed c 12M
	check_files "$CG"
	check_files "$CG"
	num "pages in pmem" "$(cx stored_pages)" -gt 3000
	fs_off
	loop_until 5 is 0 cx stored_pages
}

if [[ $(head -c 8 "${DISKS[3]}" | tr -d '\0') != fcledger ]]; then
	echo "# seed $SEED"
	case_ 'reset' before
else
	for i in 0 1 2; do
		case_ "${KINDS[i]} after a reset" after $i
	done
fi
cases_done
