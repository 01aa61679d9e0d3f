"""Pages of runs in a browser: the report, and the live view. Draws with Bokeh, the extra "report".

toolkit         Bokeh's modules, and text as Bokeh shows it
appearance      template, colours, light and dark
markup          HTML of ours: the element that shows it, tables, what is folded away
overview        what ran, why it ended, best values, checkpoints
comparison      several runs in a table that sorts
charts          series as curves: chart, curves, points, marks, x_axes, y_scales
heat_maps       histograms over time, and the distribution at one moment: heat_map, heat_map_cells
pictures        feature maps, image and visualization side by side: picture_files
callback_times  what each callback cost
page            RunPage: all of these as one page, brought up to date in place
static          the page as one file
follower        an archive that changes: read again when it has
listing         the archives of a folder
live            the page, served while the run goes on: server, door

Scripts in files of their own (*.js) run in the browser.
"""
