"""From the archive of a run to what people look at: pages, a live view, text, tables for other tools.

records         what was read of a run, as plain values: Run, About, Series, Histogram, LayerMaps
timeline        where moments of a run lie on the axes: epochs, minibatches, seconds
-- reading ----------------------------------------------------------------------------------------------
opening         opening an archive, and saying what stands in its place where there is none
text_heaps      one kind of damage that HDF5 would read for ever
contents        what an archive itself holds, by paths, and reading it within bounds
attributes      attributes as the kind of value that they should be, or absent
progress        how far a run came, as the archive marks it; its timeline
about           what ran, when, how far it came, why it ended
writer          whether the process lives that writes an archive
checkpoints, callback_costs    tables of what their names say
series, histograms, feature_maps    what their names say
reading         all of these: `read_run(path)`; `read_found_run(path)`, a path that nobody typed
-- telling ----------------------------------------------------------------------------------------------
thinning        few points that look as all of them do
best            the best value of a series, and the last
grouping        which series share a chart; its title and unit
naming          what runs are called where several are shown
wording, facts  numbers, durations and states in words; what is known of a run
html_parts      pieces of HTML that pages and notebooks share; colours, of curves
browser         showing a page to the user
pages/          pages in a browser, by Bokeh: the report, the live view
info            a run in the terminal: series_table, line_charts, terminal_text
notebook        a run in a notebook: notebook_page, svg_chart
export/         tables for other tools

Reads archives, also those that neon wrote, and those of strangers; writes none.
"""
