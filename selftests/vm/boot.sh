#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# Starts QEMU for one run, follows the guest's status port, and judges how the run went.
# shellcheck disable=SC2154 # opt_* come from vm, K_* from kernel.sh

# size_mib SIZE: 512M, 1G, ... in MiB
size_mib()
{
	case $1 in
	*[!0-9MG]*|[MG]*|'')	return 1 ;;
	*G)	echo $(( ${1%G} * 1024 )) ;;
	*M)	echo "${1%M}" ;;
	*)	return 1 ;;
	esac
}

# KVM must be proved: the device node may exist and still hang every guest
kvm_works()
{
	local verdict

	verdict=$CACHE/kvm-$(uname -r)
	grep -qEm1 '^flags.*\<(vmx|svm)\>' /proc/cpuinfo && [[ -w /dev/kvm ]] || return
	if [[ ! -e $verdict ]]; then
		note 'trying KVM, once'
		if timeout 20 "${emulator[@]}" -accel kvm -cpu host -m 256M -nodefaults \
			-no-user-config -display none -no-reboot -kernel "$K_IMG" \
			-initrd "$K_INITRD" -append 'panic=-1' </dev/null >/dev/null 2>&1; then
			echo yes
		else
			echo no
		fi >"$verdict"
	fi
	[[ $(<"$verdict") == yes ]]
}

# Fills the array qemu from the opt_* variables. $1: directory for the run's files
qemu_command()
{
	local tmp=$1 mem legacy=0 extra=0 slots=0 i=0 s addr machine=q35 append accel cpu

	find_qemu
	mem=$(size_mib "$opt_mem") || die "--mem: '$opt_mem' is not a size such as 512M or 2G"
	append="console=ttyS0 loglevel=5 panic=-1 oops=panic panic_on_warn=1 softlockup_panic=1"
	append+=" hung_task_panic=1 kfence.sample_interval=10 random.trust_cpu=on"

	if [[ -n $opt_icount ]]; then
		accel=tcg,thread=single cpu=${opt_cpu:-$(tcg_cpu)} opt_cpus=1
	elif [[ ${opt_accel:-kvm} == kvm ]] && kvm_works; then
		accel=kvm cpu=${opt_cpu:-host}
	else
		accel=tcg,thread=multi cpu=${opt_cpu:-$(tcg_cpu)}
		# Emulated CPUs are slow: what is a hang on a real one may be work here
		append+=" watchdog_thresh=60 rcupdate.rcu_cpu_stall_timeout=120"
		append+=" sysctl.kernel.hung_task_timeout_secs=240"
	fi
	ACCEL=${accel%%,*}${opt_icount:+ icount}

	# With legacy pmem, memory below 4 GiB ends at --mem (or 2 GiB), so the pmem and
	# what may be left of --mem are what lies above.
	if (( ${#opt_legacy[@]} )); then
		addr=4096
		if (( mem > 2048 )); then
			addr=$(( (4096 + mem - 2048 + 127) / 128 * 128 ))
		fi
		for s in "${opt_legacy[@]}"; do
			s=$(size_mib "$s") || die '--legacy-pmem: not a size such as 256M'
			append+=" memmap=${s}M!${addr}M"
			addr=$((addr + s)) legacy=$((legacy + s))
		done
		machine+=,max-ram-below-4g=$(( mem > 2048 ? 2048 : mem ))M
	fi

	qemu=("${emulator[@]}" -nodefaults -no-user-config -display none
		-accel "$accel" -cpu "$cpu" -smp "$opt_cpus"
		-kernel "$K_IMG" -initrd "$tmp/initrd"
		-device virtio-serial)
	[[ -n $opt_reboot ]] || qemu+=(-no-reboot)
	[[ -z $opt_icount ]] || qemu+=(-icount shift=0,sleep=off)

	for s in root:"$ROOT_IMG" modules:"$K_MODIMG" payload:"$tmp/payload.ext4"; do
		qemu+=(-drive "if=none,id=${s%%:*},file=${s#*:},format=raw,readonly=on,file.locking=off"
			-device "virtio-blk-pci,drive=${s%%:*},serial=${s%%:*}")
	done
	for s in "${opt_disks[@]}"; do
		size_mib "$s" >/dev/null || die "--disk: '$s' is not a size such as 512M"
		truncate -s "$s" "$tmp/disk$i"
		qemu+=(-drive "if=none,id=disk$i,file=$tmp/disk$i,format=raw,cache=unsafe,discard=unmap"
			-device "virtio-blk-pci,drive=disk$i,serial=disk$i")
		i=$((i + 1))
	done

	for s in "${opt_nvdimms[@]}"; do
		local path=''
		[[ $s != *:* ]] || path=${s%:*}
		s=$(size_mib "${s##*:}") || die '--nvdimm: not a size such as 256M'
		if [[ -n $path ]]; then
			qemu+=(-object "memory-backend-file,id=nv$slots,size=${s}M,mem-path=$path,share=on")
		else
			qemu+=(-object "memory-backend-ram,id=nv$slots,size=${s}M")
		fi
		qemu+=(-device "nvdimm,id=nvdimm$slots,memdev=nv$slots${opt_numa:+,node=$((slots + 1))}")
		slots=$((slots + 1)) extra=$((extra + s + 1024))
		[[ -z $opt_numa ]] || qemu+=(-numa "node,nodeid=$slots")
	done
	mem=$((mem + legacy))
	if [[ -n $opt_numa ]]; then
		qemu+=(-object "memory-backend-ram,id=ram,size=${mem}M"
			-numa "node,nodeid=0,memdev=ram,cpus=0-$((opt_cpus - 1))")
	fi
	if (( slots )); then
		machine+=,nvdimm=on
		qemu+=(-m "${mem}M,slots=$slots,maxmem=$((mem + extra))M")
	else
		qemu+=(-m "${mem}M")
	fi
	qemu+=(-machine "$machine" -append "$append${opt_append:+ $opt_append}")

	# What goes back over ports of its own: status (a pipe to us), output, result files
	qemu+=(-chardev "file,id=results,path=$tmp/results.tar"
		-device virtserialport,chardev=results,name=results)
	if [[ -n $opt_shell ]]; then
		qemu+=(-chardev stdio,id=console,mux=on,signal=off
			-serial chardev:console -mon chardev=console
			-chardev "file,id=status,path=$tmp/status")
	else
		qemu+=(-serial "file:$opt_out/console.log"
			-chardev "file,id=stdout,path=$opt_out/stdout"
			-device virtserialport,chardev=stdout,name=stdout
			-chardev file,id=status,path=/dev/stdout)
	fi
	qemu+=(-device virtserialport,chardev=status,name=status)
}

# Until the first command; a busy host takes its time
BOOT_TIMEOUT=300

seconds_since() { awk -v a="$1" -v b="$EPOCHREALTIME" 'BEGIN { printf "%.1f", b - a }'; }

# Reads the guest's status lines from fd $1 until it ends. Sets the guest_* variables.
follow()
{
	local fd=$1 deadline=$((SECONDS + BOOT_TIMEOUT)) key value

	while (( SECONDS < deadline )); do
		read -r -t $((deadline - SECONDS)) -u "$fd" key value
		case $? in
		0)	;;
		1)	return 0 ;;	# QEMU is gone
		*)	break ;;
		esac
		case $key in
		start)
			guest_boot=$(seconds_since "$t0")
			deadline=$((SECONDS + opt_timeout))
			;;
		exit)		guest_exit=$value ;;
		taint)		guest_taint=$value ;;
		modules)	guest_modules=$value ;;
		swaps)		guest_swaps=$value ;;
		esac
	done
	guest_timeout=1
}

# Prints the run's verdict and returns vm's exit status.
judge()
{
	local bad why='' rc

	bad=$(awk -f "$TOP/selftests/lib/complaints.awk" -v allow="$opt_allow" \
		"$opt_out/console.log" "$opt_out"/results/dmesg.log 2>/dev/null | sort -u)
	if [[ -n $bad ]]; then
		rc=126 why='the kernel complained'
		head -n 20 <<<"$bad" | sed 's/^/vm:   /' >&2
	elif [[ -n $guest_timeout ]]; then
		rc=124 why="no end after $opt_timeout s"
		[[ -n $guest_boot ]] || why="no command after $BOOT_TIMEOUT s"
	elif [[ -z $guest_exit ]]; then
		rc=123 why='the guest died'
	elif (( guest_taint & ~(1 << 12 | 1 << 13) )); then
		rc=126 why="the kernel is tainted: $guest_taint"
	elif (( guest_exit == 0 )) && [[ -z $opt_keep && -n $guest_modules$guest_swaps ]]; then
		rc=122 why="left behind: $guest_modules $guest_swaps"
	else
		rc=$guest_exit
	fi
	if [[ -z $guest_exit ]]; then
		note "the console's tail:"
		tail -n 40 "$opt_out/console.log" | sed 's/^/vm:   /' >&2
	fi
	note "exit $rc${why:+ ($why)}; ${guest_boot:+first command after $guest_boot s, }$(
		seconds_since "$begin") s in all, $ACCEL, logs in $opt_out"
	return "$rc"
}

# Starts QEMU and stays with it to its end
launch()
{
	local fd tailpid='' t0=$EPOCHREALTIME

	: >"$opt_out/stdout"
	: >"$opt_out/console.log"
	exec {fd}< <(exec "${qemu[@]}" </dev/null 2>"$opt_out/qemu.log")
	QEMU_PID=$!
	if [[ -n $opt_live ]]; then
		tail -f -s 0.1 -n +1 --pid="$QEMU_PID" "$opt_out/stdout" &
		tailpid=$!
	fi
	follow "$fd"
	[[ -z $guest_timeout ]] || kill -9 "$QEMU_PID"
	wait "$QEMU_PID" 2>/dev/null
	QEMU_PID=
	exec {fd}<&-
	[[ -z $tailpid ]] || wait "$tailpid"
}

take_results()
{
	mkdir -p "$opt_out/results"
	[[ ! -s $1/results.tar ]] || tar -C "$opt_out/results" --no-same-owner -xf "$1/results.tar"
}

# Runs the guest that the opt_* variables describe. $1: directory for the run's files
boot()
{
	local tmp=$1 begin=$EPOCHREALTIME
	local guest_boot='' guest_exit='' guest_taint=0 guest_modules='' guest_swaps='' guest_timeout=''
	local -a qemu

	qemu_command "$tmp"
	if [[ -n $opt_shell ]]; then
		note 'Ctrl-a x ends the guest by force'
		"${qemu[@]}"
		guest_exit=$(sed -n 's/^exit //p' "$tmp/status" 2>/dev/null)
		take_results "$tmp"
		return "${guest_exit:-123}"
	fi

	launch
	# Before the first command nothing of ours has run: boot again.
	if [[ -z $guest_boot && $ACCEL == tcg ]] && emulator_lost "$opt_out"; then
		note 'the emulator lost a race of its own; booting again'
		cat "$opt_out/qemu.log" >&2
		mv "$opt_out/console.log" "$opt_out/console-first.log"
		launch
	fi
	[[ ! -s $opt_out/qemu.log ]] || sed 's/^/vm: qemu: /' "$opt_out/qemu.log" >&2

	take_results "$tmp"
	judge
}
