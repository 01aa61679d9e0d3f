// Turns all charts logarithmic or back; those of bytes and those with few values above 0 stay linear. Their tags
// tell the unit. A server hears only that the button was pressed.
const alone = {sync: false};
const is_positive = (figure) => {
  const values = figure.renderers.flatMap(({data_source}) => [...(data_source.get_column("value") ?? [])]).filter(isFinite);
  return values.filter((value) => value > 0).length > values.length / 2;
};

for (const figure of figures) {
  const is_log = cb_obj.active && figure.tags[0] != "bytes" && is_positive(figure);
  const kind = is_log ? "log" : figure.tags[0] == "bytes" ? "bytes" : "linear";
  const [shown] = figure.left;
  if (shown.ticker == tickers[kind]) continue;
  figure.y_range.setv({scale_hint: is_log ? "log" : "auto"}, alone); // Bokeh sets it, but never takes it back
  figure.setv({y_scale: is_log ? log_scale : linear_scale}, alone);
  shown.setv({ticker: tickers[kind], formatter: formatters[kind]}, alone);
  figure.y_range.setv({range_padding: is_log ? 0.08 : 0.1}, alone); // only a change has Bokeh find the range anew
}
