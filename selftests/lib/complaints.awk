# SPDX-License-Identifier: GPL-2.0-only
# Prints the lines of a kernel log that must not be there. -v allow=REGEX: but these may.

BEGIN {
	bad = "kernel BUG at|WARNING:|BUG:|Oops:|recursive locking|suspicious RCU|circular locking|" \
	      "general protection|KASAN|UBSAN|KFENCE|KCSAN|blocked for more than|soft lockup|hard LOCKUP|" \
	      "rcu.*stall|Bad page|sleeping function|unreferenced object|corruption|Call Trace:|" \
	      "Kernel panic|invalid opcode|refcount_t:|list_(add|del) |(Bad|Unused) swap (file|offset) entry"
}

FNR == 1 { oom = vmalloc = 0; race = "" }

# The command line names options such as rcu_cpu_stall_timeout; a test may be named after a complaint
/[Cc]ommand line: |[Cc]ommand line parameters|RCU CPU stall warnings timeout set|kcsan: .*mode configured|\] ktap: / { next }

# The report of the OOM killer comes with a call trace that means no harm
/ invoked oom-killer: /		{ oom = 1 }
/ oom-kill:|Out of memory/	{ oom = 0 }
oom && /Call Trace:/		{ next }

# ... and so does that of vmalloc() when there is no memory, even if only fault injection says so
/ vmalloc error: /		{ vmalloc = 1 }
vmalloc && /Call Trace:/	{ vmalloc = 0; next }

# mm and filesystems have data races of their own: one is ours if a function of ours is in its report, which ends with
# a line of these. Whoever has mm unmap a page notes the most that the process had (mm->hiwater_rss), and fork() sets
# that of a child without a lock.
/BUG: KCSAN: data-race in copy_process \/ try_to_migrate_one/	{ next }
/BUG: KCSAN: /			{ race = $0; next }
race && /======/			{ race = "" }
race && / \[pmem[a-z_]+\]/	{ print race; race = "" }

allow != "" && $0 ~ allow	{ next }

$0 ~ bad {
	sub(/\r$/, "")
	print
}
