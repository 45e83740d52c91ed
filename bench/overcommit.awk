# SPDX-License-Identifier: GPL-2.0-only
# Turns the lines of overcommit-guest into JSON (format=json), Markdown tables (table) or data for a chart (chart).
# Needs stats.awk.

# What becomes a row of the first table: one for each workload, one for each part of it
function time_row(workload, key, title)
{
	rows[++nr_rows] = workload SUBSEP key
	row_title[nr_rows] = title
}

$1 == "workload" {
	n = split(rest(), part, "|")
	workloads[++nr_workloads] = part[1]
	workload_title[part[1]] = part[2]
	time_row(part[1], "seconds", part[2])
	for (i = 3; i <= n; i++)
		if (split(part[i], field, ":") == 2)
			time_row(part[1], field[1], part[2] ": " field[2])
	next
}
$1 == "sample" {
	add($2 SUBSEP $4 SUBSEP $5, $6)
	if (!((4, $4, $5) in seen)) {
		seen[4, $4, $5] = 1
		keys[++nr_keys] = $4 SUBSEP $5
	}
	if ($3 > about["rounds"])
		about["rounds"] = $3
	next
}
$1 != "end" { about[$1] = rest() }

function json(	i, p, field)
{
	print "{"
	json_facts("revision kernel data_mib budget_mib rounds")
	printf "  \"results\": ["
	for (i = 1; i <= nr_keys; i++) {
		split(keys[i], field, SUBSEP)
		for (p = 1; p <= nr_peers; p++)
			json_result(peers[p] SUBSEP keys[i], 3, "\"workload\": \"" field[1] "\", \"row\": \"" field[2] "\", \"peer\": \"" peers[p] "\"")
	}
	printf "\n  ]\n}\n"
}

function table(	r, p, w, k, v, base)
{
	printf "%d MiB of data, %d MiB of DRAM for it, kernel %s, %s; in brackets: ratio to %s.\n\n", about["data_mib"], about["budget_mib"], about["kernel"], rounds_text(), peer_title[peers[1]]
	table_head("seconds")
	for (r = 1; r <= nr_rows; r++) {
		printf "| %s |", row_title[r]
		for (p = 1; p <= nr_peers; p++) {
			k = peers[p] SUBSEP rows[r]
			v = median(k)
			note_spread(k, v, row_title[r] ", " peer_title[peers[p]])
			if (p == 1) {
				base = v
				printf " %.1f |", v
			} else {
				printf " %.1f (%.2f) |", v, v / base
			}
		}
		print ""
	}
	printf "\n%s All data was checked each time, none was wrong.\n\n", spread_text(0)

	table_head("MiB swapped out / in / at most at a time / DRAM the device took")
	for (w = 1; w <= nr_workloads; w++) {
		printf "| %s |", workload_title[workloads[w]]
		for (p = 1; p <= nr_peers; p++) {
			k = peers[p] SUBSEP workloads[w] SUBSEP
			printf " %.0f / %.0f / %.0f / %.0f |", median(k "out_mib"), median(k "in_mib"), median(k "peak_mib"), median(k "store_mib")
		}
		print ""
	}
}

# Times as long as on the first peer
function chart(	w, p, k, base)
{
	chart_head()
	for (w = 1; w <= nr_workloads; w++) {
		k = SUBSEP workloads[w] SUBSEP "seconds"
		base = median(peers[1] k)
		printf "\"%s\"", wrap(workload_title[workloads[w]])
		for (p = 1; p <= nr_peers; p++)
			chart_value(peers[p] k, base)
		print ""
	}
}
