// Figures are drawn on a canvas, which style sheets do not reach: they get the page's colours here, at the
// beginning, when the browser turns dark or light, and when a chart is added.
const doc = cb_obj.document ?? Bokeh.documents.at(-1);
const dark = matchMedia("(prefers-color-scheme: dark)");

function paint() {
  const style = getComputedStyle(document.documentElement);
  const [page, ink, soft, faint] = ["--page", "--ink", "--soft", "--faint"].map((name) => style.getPropertyValue(name).trim());
  const colours = {
    Title: {text_color: ink},
    Axis: {axis_label_text_color: soft, major_label_text_color: soft, axis_line_color: faint, major_tick_line_color: faint, minor_tick_line_color: null},
    Grid: {grid_line_color: faint},
    BaseColorBar: {title_text_color: soft, major_label_text_color: soft, background_fill_color: null, bar_line_color: null, major_tick_line_color: faint},
    Legend: {label_text_color: ink, title_text_color: soft, background_fill_color: page, border_line_color: null, inactive_fill_color: page},
    Label: {text_color: soft},
    Plot: {outline_line_color: faint},
  };
  const options = {sync: false}; // a server need not hear of it
  for (const model of doc.all_models) {
    for (let kind = model.constructor; kind?.__name__ ?? kind?.name; kind = Object.getPrototypeOf(kind)) {
      const name = kind.__name__ ?? kind.name;
      if (name in colours) {
        model.setv(colours[name], options);
        break;
      }
    }
  }
}

paint();
dark.addEventListener("change", paint);
let waiting = null;
doc.on_change((event) => {
  if (["children", "renderers", "center", "below", "above", "right", "left"].includes(event.attr)) {
    clearTimeout(waiting);
    waiting = setTimeout(paint, 0);
  }
});
