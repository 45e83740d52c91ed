# SPDX-License-Identifier: GPL-2.0-only
# Turns the lines of micro-guest and cache-micro-guest into JSON (format=json), a Markdown table (table) or data for a chart (chart).
# Needs stats.awk.

$1 == "row" {
	split(rest(), part, "|")
	rows[++nr_rows] = part[1]
	row_title[part[1]] = part[2]
	next
}
$1 == "sample" {
	add($2 SUBSEP $4, $6 / $5)
	about["pages"] = $5
	if ($3 > about["rounds"])
		about["rounds"] = $3
	next
}
$1 != "end" { about[$1] = rest() }

function json(	r, p)
{
	about["unit"] = "instructions a page"
	print "{"
	json_facts("unit revision kernel cpu pages rounds")
	printf "  \"results\": ["
	peers[0] = "none"
	for (r = 1; r <= nr_rows; r++)
		for (p = 0; p <= nr_peers; p++)
			json_result(peers[p] SUBSEP rows[r], 1, "\"row\": \"" rows[r] "\", \"peer\": \"" peers[p] "\"")
	printf "\n  ]\n}\n"
}

function has(row,	p)
{
	for (p = 1; p <= nr_peers; p++)
		if ((peers[p] SUBSEP row) in nr)
			return 1
	return 0
}

function table(	r, p, k, base, v)
{
	printf "Kernel %s, %d pages, %s; in brackets: times as many as %s.\n\n", about["kernel"], about["pages"], rounds_text(), peer_title[peers[1]]
	table_head("instructions a page")
	for (r = 1; r <= nr_rows; r++) {
		if (!has(rows[r]))
			continue
		printf "| %s |", row_title[rows[r]]
		base = 0
		for (p = 1; p <= nr_peers; p++) {
			k = peers[p] SUBSEP rows[r]
			if (!(k in nr)) {
				printf " |"
				continue
			}
			v = median(k)
			note_spread(k, v, row_title[rows[r]] ", " peer_title[peers[p]])
			if (p == 1)
				base = v
			if (p == 1 || !base)
				printf " %.0f |", v
			else
				printf " %.0f (%.2f) |", v, v / base
		}
		print ""
	}
	printf "\n%s", spread_text(1)
	for (r = 1; r <= nr_rows; r++) {
		k = "none" SUBSEP rows[r]
		if (k in nr)
			printf " For comparison, in the same boot: %s %.0f.", row_title[rows[r]], median(k)
	}
	print ""
}

function chart(	n, i, p, show)
{
	chart_head()
	n = split(about["chart"], show, " ")
	for (i = 1; i <= n; i++) {
		printf "\"%s\"", wrap(row_title[show[i]])
		for (p = 1; p <= nr_peers; p++)
			chart_value(peers[p] SUBSEP show[i], 1)
		print ""
	}
}
