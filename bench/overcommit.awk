# SPDX-License-Identifier: GPL-2.0-only
# Turns the lines of overcommit-guest into JSON (format=json) or a Markdown table (format=table).

function median(key,	n, i, j, t, v)
{
	n = nr[key]
	for (i = 1; i <= n; i++)
		v[i] = value[key, i]
	for (i = 2; i <= n; i++)
		for (j = i; j > 1 && v[j - 1] > v[j]; j--) {
			t = v[j]
			v[j] = v[j - 1]
			v[j - 1] = t
		}
	least[key] = v[1]
	most[key] = v[n]
	return n % 2 ? v[(n + 1) / 2] : (v[n / 2] + v[n / 2 + 1]) / 2
}

# What the table shows: key, title, divisor, unit, and whether a ratio says something
function row(key, title, divisor, unit, ratio)
{
	rows[++nr_rows] = key
	row_title[key] = title
	row_divisor[key] = divisor
	row_unit[key] = unit
	row_ratio[key] = ratio
}

BEGIN {
	row("fill_seconds", "fill", 1, "s", 1)
	row("seq_seconds", "check in order, rewrite 1/4", 1, "s", 1)
	row("rand_seconds", "check at random", 1, "s", 1)
	row("total_seconds", "all", 1, "s", 1)
	row("checked_bytes", "data checked", 1048576, "MiB", 0)
	row("wrong_bytes", "wrong bytes", 1, "", 0)
	row("swapped_out_pages", "swapped out", 1, "pages", 0)
	row("swapped_in_pages", "swapped in", 1, "pages", 0)
	row("dram_peak_kib", "most of it in DRAM (VmHWM)", 1024, "MiB", 0)
	row("swap_peak_kib", "most of it swapped (VmSwap)", 1024, "MiB", 0)
}

$1 == "peer" {
	split(substr($0, 6), part, "|")
	peers[++nr_peers] = part[1]
	peer_title[part[1]] = part[2]
}
$1 == "overcommit" {
	key = $2 SUBSEP $4
	value[key, ++nr[key]] = $5
	if ($3 > rounds)
		rounds = $3
}
$1 ~ /_mib$/ { about[$1] = $2 }

function json(	r, p, k, v, sep)
{
	printf "{\n  \"dram_mib\": %d,\n  \"program_mib\": %d,\n  \"rounds\": %d,\n  \"results\": [", about["dram_mib"], about["size_mib"], rounds
	for (r = 1; r <= nr_rows; r++)
		for (p = 1; p <= nr_peers; p++) {
			k = peers[p] SUBSEP rows[r]
			v = median(k)
			printf "%s\n    { \"row\": \"%s\", \"peer\": \"%s\", \"median\": %.2f, \"min\": %.2f, \"max\": %.2f, \"rounds\": %d }", sep, rows[r], peers[p], v, least[k], most[k], nr[k]
			sep = ","
		}
	printf "\n  ]\n}\n"
}

function table(	r, p, k, v, base, text)
{
	printf "%d MiB of DRAM, %d MiB of data, median of %d rounds and the range of them; in brackets: ratio to %s.\n\n", about["dram_mib"], about["size_mib"], rounds, peer_title[peers[1]]
	printf "| |"
	for (p = 1; p <= nr_peers; p++)
		printf " %s |", peer_title[peers[p]]
	printf "\n|---|"
	for (p = 1; p <= nr_peers; p++)
		printf "---:|"
	print ""
	for (r = 1; r <= nr_rows; r++) {
		printf "| %s |", row_title[rows[r]]
		for (p = 1; p <= nr_peers; p++) {
			k = peers[p] SUBSEP rows[r]
			v = median(k)
			if (p == 1)
				base = v
			if (row_unit[rows[r]] == "s")
				text = sprintf("%.1f s, %.1f to %.1f", v, least[k], most[k])
			else
				text = sprintf("%.0f %s", v / row_divisor[rows[r]], row_unit[rows[r]])
			sub(/ $/, "", text)
			if (row_ratio[rows[r]] && p > 1)
				text = text sprintf(" (%.2f)", v / base)
			printf " %s |", text
		}
		print ""
	}
}

END {
	if (format == "json")
		json()
	else
		table()
}
