# SPDX-License-Identifier: GPL-2.0-only
# Turns the lines of cache-files-guest into JSON (format=json), Markdown tables (table) or data for a chart (chart).
# Needs stats.awk.

# unit KEY|TITLE|DIGITS|RATIO (1: in brackets, to the first peer)
$1 == "unit" {
	split(rest(), part, "|")
	units[++nr_units] = part[1]
	unit_title[part[1]] = part[2]
	digits[part[1]] = part[3]
	ratio[part[1]] = part[4]
	next
}
$1 == "row" {
	split(rest(), part, "|")
	rows[++nr_rows] = part[1]
	row_title[part[1]] = part[2]
	next
}
$1 == "sample" {
	add($2 SUBSEP $4 SUBSEP $5, $6)
	if ($3 > about["rounds"])
		about["rounds"] = $3
	next
}
$1 != "end" { about[$1] = rest() }

function has(row, unit,	p)
{
	for (p = 1; p <= nr_peers; p++)
		if ((peers[p], row, unit) in nr)
			return 1
	return 0
}

function json(	r, u, p)
{
	print "{"
	json_facts("revision kernel lru_gen pool_mib passes_dram_mib passes_mib hot_dram_mib hot_mib rounds")
	printf "  \"results\": ["
	for (r = 1; r <= nr_rows; r++)
		for (u = 1; u <= nr_units; u++)
			for (p = 1; p <= nr_peers; p++)
				json_result(peers[p] SUBSEP rows[r] SUBSEP units[u], 2, "\"row\": \"" rows[r] "\", \"unit\": \"" units[u] "\", \"peer\": \"" peers[p] "\"")
	printf "\n  ]\n}\n"
}

function cell(p, row, unit, base,	k, v)
{
	k = peers[p] SUBSEP row SUBSEP unit
	if (!(k in nr)) {
		printf " |"
		return
	}
	v = median(k)
	if (ratio[unit])
		note_spread(k, v, row_title[row] ", " peer_title[peers[p]])
	printf " %." digits[unit] "f", v
	if (ratio[unit] && p > 1 && base)
		printf " (%.2f)", v / base
	printf " |"
}

function table(	r, u, p, k, base)
{
	printf "%d MiB of pmem; a file of %d MiB with %d MiB of DRAM, a hot set of %d MiB with %d; kernel %s, %s; in brackets: ratio to %s.\n", about["pool_mib"], about["passes_mib"], about["passes_dram_mib"], about["hot_mib"], about["hot_dram_mib"], about["kernel"], rounds_text(), peer_title[peers[1]]
	for (u = 1; u <= nr_units; u++) {
		print ""
		table_head(unit_title[units[u]])
		for (r = 1; r <= nr_rows; r++) {
			if (!has(rows[r], units[u]))
				continue
			printf "| %s |", row_title[rows[r]]
			k = peers[1] SUBSEP rows[r] SUBSEP units[u]
			base = k in nr ? median(k) : 0
			for (p = 1; p <= nr_peers; p++)
				cell(p, rows[r], units[u], base)
			print ""
		}
	}
	printf "\n%s All data was checked each time, none was wrong.\n", spread_text(0)
}

# Times as many reads as the first peer
function chart(	n, i, p, show, k, base)
{
	chart_head()
	n = split(about["chart"], show, " ")
	for (i = 1; i <= n; i++) {
		if (!has(show[i], units[1]))
			continue
		k = SUBSEP show[i] SUBSEP units[1]
		base = (peers[1] k) in nr ? median(peers[1] k) : 1
		printf "\"%s\"", wrap(row_title[show[i]])
		for (p = 1; p <= nr_peers; p++)
			chart_value(peers[p] k, base)
		print ""
	}
}
