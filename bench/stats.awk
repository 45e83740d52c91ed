# SPDX-License-Identifier: GPL-2.0-only
# What the tables and charts share: samples of a key, their median and range, and the look of a peer in a chart.
# Lines that all raw files have: "peer NAME|TITLE|DEVICE", "sample ..." (each its own), "end", and facts: "KEY TEXT".

function add(key, v)
{
	value[key, ++nr[key]] = v
}

# Leaves the range in least[] and most[]
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

# How far the samples are from their median; the furthest of all is kept in "worst" and "where"
function note_spread(key, m, name,	s)
{
	s = most[key] / m - 1
	if (1 - least[key] / m > s)
		s = 1 - least[key] / m
	if (s > worst) {
		worst = s
		where = name
	}
}

function rounds_text()
{
	return about["rounds"] == 1 ? "one round" : "median of " about["rounds"] " rounds"
}

# Nothing to say about a single round
function spread_text(digits)
{
	if (about["rounds"] == 1)
		return "One round only: no range is known."
	return sprintf("No round was further than %." digits "f %% from its median (%s).", worst * 100, where)
}

function rest()
{
	return substr($0, length($1) + 2)
}

$1 == "peer" {
	split(rest(), part, "|")
	peers[++nr_peers] = part[1]
	peer_title[part[1]] = part[2]
	next
}

# ---- Markdown and JSON ----

function table_head(title,	p)
{
	printf "| %s |", title
	for (p = 1; p <= nr_peers; p++)
		printf " %s |", peer_title[peers[p]]
	printf "\n|---|"
	for (p = 1; p <= nr_peers; p++)
		printf "---:|"
	print ""
}

# The facts in names; those that are numbers without quotes
function json_facts(names,	i, n, name)
{
	about["revision"] = revision
	n = split(names, name, " ")
	for (i = 1; i <= n; i++)
		printf "  \"%s\": %s,\n", name[i], about[name[i]] ~ /^[0-9]+$/ ? about[name[i]] : "\"" about[name[i]] "\""
}

# One result, unless the peer has none; digits: of the fraction
function json_result(key, digits, text,	v, f)
{
	if (!(key in nr))
		return
	v = median(key)
	f = "%." digits "f"
	printf "%s\n    { %s, \"median\": " f ", \"min\": " f ", \"max\": " f ", \"rounds\": %d }", json_sep, text, v, least[key], most[key], nr[key]
	json_sep = ","
}

# ---- Data for chart.gp ----

# The same colour in all charts: grey what there is, green what this project adds, warm what compresses
function colour(peer)
{
	if (peer == "nd_pmem")
		return "#7f7f7f"
	if (peer == "pmemswap")
		return "#b2df8a"
	if (peer == "pmemswap-map1")
		return "#74c476"
	if (peer == "pmemswap-map16")
		return "#238b45"
	if (peer == "pmemswap-map64")
		return "#00441b"
	if (peer == "brd")
		return "#80b1d3"
	if (peer == "zram-lz4")
		return "#fdb462"
	if (peer == "zram-zstd")
		return "#e6550d"
	if (peer == "none" || peer == "dram")
		return "#7f7f7f"
	if (peer == "more-dram")
		return "#bdbdbd"
	if (peer == "bcache")
		return "#fdb462"
	if (peer == "dm-cache")
		return "#e6550d"
	if (peer == "hooked" || peer == "cachex-off")
		return "#b2df8a"
	if (peer == "cachex")
		return "#238b45"
	if (peer == "cachex-all")
		return "#74c476"
	if (peer == "far")
		return "#80b1d3"
	return peer == "far-demotion" ? "#1f78b4" : "#000000"
}

# First the colours, then the titles, then a line for each group: median, least and most of each peer
function chart_head(	p)
{
	printf "#"
	for (p = 1; p <= nr_peers; p++)
		printf " %s", colour(peers[p])
	printf "\n\"\""
	for (p = 1; p <= nr_peers; p++)
		printf " \"%s\" - -", peer_title[peers[p]]
	print ""
}

# A long title in lines
function wrap(text,	n, i, word, line, out)
{
	n = split(text, word, " ")
	for (i = 1; i <= n; i++) {
		if (line != "" && length(line word[i]) > 20) {
			out = out line "\\n"
			line = ""
		}
		line = line (line == "" ? "" : " ") word[i]
	}
	return out line
}

function chart_value(key, unit,	v)
{
	if (!(key in nr)) {
		printf " NaN NaN NaN"
		return
	}
	v = median(key)
	printf " %g %g %g", v / unit, least[key] / unit, most[key] / unit
}

# Each comparison has these three
END {
	if (format == "json")
		json()
	else if (format == "chart")
		chart()
	else
		table()
}
