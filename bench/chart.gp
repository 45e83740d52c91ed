# SPDX-License-Identifier: GPL-2.0-only
# For gnuplot: groups of bars with their range, from what the awk scripts make with format=chart, to an SVG.
# Wants: data, out, heading, axis; log: 1 for a logarithmic axis.

set terminal svg size 1100,440 noenhanced font "sans-serif,13" background "white"
set output out
colours = system("sed -n 's/^# //p' '" . data . "'")
peers = words(colours)
groups = system("grep -c '^\"..*\"' '" . data . "'") - 1

set title heading
set ylabel axis
set key outside right top reverse Left samplen 1
set style data histograms
set style histogram errorbars gap 1.5 linewidth 1
set style fill solid 0.95 noborder
set boxwidth 0.9 relative
set xtics nomirror scale 0
set xrange [-0.6:groups - 0.4]
set bmargin 5
set ytics nomirror
set grid ytics back linetype 1 linecolor rgb "#dddddd"
set border 3
set errorbars small
if (log) { set logscale y; set format y "%.0f" }
if (!log) set yrange [0:*]

plot for [i = 1:peers] data using (column(3 * i - 1)):(column(3 * i)):(column(3 * i + 1)):xtic(1) \
	lc rgb word(colours, i) title columnheader(3 * i - 1)
