# SPDX-License-Identifier: GPL-2.0-only
# Turns the lines of micro-guest into JSON (format=json) or a Markdown table (format=table).

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

function rest()
{
	return substr($0, length($1) + 2)
}

$1 == "row" {
	split(rest(), part, "|")
	rows[++nr_rows] = part[1]
	row_title[part[1]] = part[2]
	next
}
$1 == "peer" {
	split(rest(), part, "|")
	peers[++nr_peers] = part[1]
	peer_title[part[1]] = part[2]
	next
}
$1 == "sample" {
	key = $2 SUBSEP $4
	value[key, ++nr[key]] = $6 / $5
	pages = $5
	if ($3 > rounds)
		rounds = $3
	next
}
$1 != "end" { about[$1] = rest() }

function json(	i, r, p, k, sep, v)
{
	printf "{\n  \"unit\": \"instructions a page\",\n  \"kernel\": \"%s\",\n  \"cpu\": \"%s\",\n", about["kernel"], about["cpu"]
	printf "  \"pages\": %d,\n  \"rounds\": %d,\n  \"results\": [", pages, rounds
	peers[0] = "none"
	for (r = 1; r <= nr_rows; r++)
		for (p = 0; p <= nr_peers; p++) {
			k = peers[p] SUBSEP rows[r]
			if (!(k in nr))
				continue
			v = median(k)
			printf "%s\n    { \"row\": \"%s\", \"peer\": \"%s\", \"median\": %.1f, \"min\": %.1f, \"max\": %.1f, \"rounds\": %d }", sep, rows[r], peers[p], v, least[k], most[k], nr[k]
			sep = ","
		}
	printf "\n  ]\n}\n"
}

function table(	r, p, k, base, v, spread, worst, where)
{
	printf "Kernel %s, %d pages, median of %d rounds; in brackets: times as many as %s.\n\n", about["kernel"], pages, rounds, peer_title[peers[1]]
	printf "| instructions a page |"
	for (p = 1; p <= nr_peers; p++)
		printf " %s |", peer_title[peers[p]]
	printf "\n|---|"
	for (p = 1; p <= nr_peers; p++)
		printf "---:|"
	print ""
	for (r = 1; r <= nr_rows; r++) {
		if (("none" SUBSEP rows[r]) in nr)
			continue
		printf "| %s |", row_title[rows[r]]
		for (p = 1; p <= nr_peers; p++) {
			k = peers[p] SUBSEP rows[r]
			v = median(k)
			if (p == 1)
				base = v
			spread = most[k] / v - 1
			if (1 - least[k] / v > spread)
				spread = 1 - least[k] / v
			if (spread > worst) {
				worst = spread
				where = row_title[rows[r]] ", " peer_title[peers[p]]
			}
			if (p == 1)
				printf " %.0f |", v
			else
				printf " %.0f (%.2f) |", v, v / base
		}
		print ""
	}
	printf "\nNo round was further than %.1f %% from its median (%s).", worst * 100, where
	for (r = 1; r <= nr_rows; r++) {
		k = "none" SUBSEP rows[r]
		if (k in nr)
			printf " For comparison, in the same boot: %s %.0f.", row_title[rows[r]], median(k)
	}
	print ""
}

END {
	if (format == "json")
		json()
	else
		table()
}
