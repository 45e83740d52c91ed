#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# vm: --mem 768M --nvdimm 128M --disk 600M
# timeout: 3600
# All that can be done to files, at random and under pressure, checked byte for byte against a
# model, and again after unmounting, without the modules. The seed is printed; TORTURE_SEED=N repeats it.

# shellcheck source-path=SCRIPTDIR
# shellcheck disable=SC2317 # cases_done calls them
. "$(dirname "$0")/../lib/cachex.sh"

need_namespaces 1
need_disk

SEED=${TORTURE_SEED:-$RANDOM}
OPS=${TORTURE_OPS:-$(fewer 800 200)}
THREADS=4
MIB=8
MODEL=/tmp/model
PUTS=0			# before the module was reloaded

# where: what the torture works on
where()
{
	if [[ $FS == bdev ]]; then
		echo --bdev "$DISK"
	else
		echo --dir "$MNT"
	fi
}

set_up()
{
	rm -rf $MODEL
	mkdir $MODEL
	at_exit rm -rf $MODEL
	if [[ $1 == bdev ]]; then
		FS=bdev
		TARGET=bdev:$(majmin "$DISK")
		cachex "$TARGET"
		# Its writers aren't held up by what their cgroup has dirty: they'd be killed.
		squeezed t 64M
	else
		fs_on "$@"
		TARGET=$(fs_number)
		cachex "$TARGET"
		squeezed t 16M
	fi
}

# Starts it within the cgroup; sets PID
start()
{
	# shellcheck disable=SC2046 # two words
	cg_exec "$CG" "$PROGS/filetorture" $(where) --save $MODEL --seed "$SEED" --ops "$OPS" \
		--threads $THREADS --mib $MIB &
	PID=$!
}

finish()
{
	wait "$PID" || fail "torture: status $?"
	num "puts" $((PUTS + $(cx puts))) -gt 100
	[[ $FS == bdev ]] || fs_off
	rmmod pmem_cachex
	idle "$BIG"
	unload pmem_tier
	if [[ $FS != bdev ]]; then
		fs_check
		mount -t "$FS" "$DISK" "$MNT"
	fi
	# shellcheck disable=SC2046 # two words
	"$PROGS/filetorture" $(where) --check $MODEL --threads $THREADS --mib $MIB
}

# undisturbed FS [MKFS OPTION...]
undisturbed()
{
	set_up "$@"
	start
	finish
}

# disturbed FS CMD...: again and again while it runs
disturbed()
{
	local rounds=0

	set_up "$1"
	start
	while kill -0 "$PID" 2>/dev/null; do
		"${@:2}"
		rounds=$((rounds + 1))
	done
	echo "$rounds rounds"
	num "rounds" $rounds -ge 1
	finish
}

# What is pinned may be in the way
drop_all() { [[ $(writing $CX/drop 1) == @(0|EBUSY) ]]; }

off_and_on()
{
	[[ $(writing $CX/enabled 0) == @(0|EBUSY) ]]
	_write $CX/enabled 1
}

# some_put: or there will be no more
some_put() { (( $(cx puts) > 100 )) || ! kill -0 "$PID" 2>/dev/null; }

reload()
{
	# What is put while the module goes isn't counted, and that may be all the rest
	loop_until 60 some_put
	PUTS=$((PUTS + $(cx puts)))
	rmmod pmem_cachex
	modprobe pmem_cachex "targets=$TARGET"
	_write $CX/admission all
}

small_pool()
{
	local total

	total=$(tier_stat "$BIG" total_pages)
	_write "$TIER/$BIG/reserve_pages" $((total - RANDOM % 3000))
}

# As much of it as possible is on its way to DRAM, or out of it again
promotion()
{
	_write $CX/promote_pages_per_second 1000000
	squeeze
}

squeeze()
{
	echo 8M >"$CG/memory.reclaim" || :
	[[ $((RANDOM % 4)) != 0 ]] || echo 1 >/proc/sys/vm/drop_caches
} 2>/dev/null

echo "# seed $SEED"
case_ 'ext4' undisturbed ext4
case_ 'ext4 with blocks of 1 KiB' undisturbed ext4 -b 1024
case_ 'xfs' undisturbed xfs
case_ 'btrfs' undisturbed btrfs
case_ 'a block device' undisturbed bdev
case_ 'ext4, squeezed' disturbed ext4 squeeze
case_ 'xfs, squeezed' disturbed xfs squeeze
case_ 'ext4, squeezed and promoted' disturbed ext4 promotion
case_ 'xfs, squeezed and promoted' disturbed xfs promotion
case_ 'btrfs, squeezed and promoted' disturbed btrfs promotion
case_ 'ext4, dropped in between' disturbed ext4 drop_all
case_ 'xfs, dropped in between' disturbed xfs drop_all
case_ 'ext4, off and on in between' disturbed ext4 off_and_on
case_ 'xfs, reloaded in between' disturbed xfs reload
case_ 'ext4, the pool runs dry' disturbed ext4 small_pool
case_ 'xfs, the pool runs dry' disturbed xfs small_pool
case_ 'btrfs, the pool runs dry' disturbed btrfs small_pool
cases_done
