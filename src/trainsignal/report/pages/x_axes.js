// Draws all charts against another axis: their sources have a column for each. A server hears only which one.
const axis = cb_obj.labels[cb_obj.active];
const alone = {sync: false};
for (const figure of figures) {
  for (const {glyph, muted_glyph} of figure.renderers) {
    glyph.setv({x: {field: axis}}, alone);
    muted_glyph.setv({x: {field: axis}}, alone);
  }
  const [shown] = figure.below;
  shown.setv({ticker: tickers[axis], formatter: formatters[axis], axis_label: labels[axis]}, alone);
}
range.reset();
