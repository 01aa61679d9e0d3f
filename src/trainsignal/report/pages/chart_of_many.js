// Shows the group that was chosen: its points, looks and words in the one figure. A server hears only which.
const chosen = Number(choice.value);
if (cb_obj != choice && !stored[chosen].includes(cb_obj)) return; // others have new points
const {title, y_label, note: noted, unit, labels, needs_legend} = groups[chosen];
const alone = {sync: false};

curves.forEach(([line, dots, stars], slot) => {
  const source = stored[chosen][slot];
  legend.items[slot].setv({label: {value: labels[slot] ?? ""}, visible: source != null}, alone);
  for (const renderer of [line, dots, stars]) renderer.setv({visible: source != null}, alone);
  if (source == null) {
    const nothing = Object.fromEntries(Object.keys(line.data_source.data).map((name) => [name, []]));
    line.data_source.setv({data: nothing, tags: []}, alone);
    return;
  }
  const colour = {value: source.tags[0].colour}, dash = {value: source.tags[0].dash};
  for (const {glyph, muted_glyph} of [line, dots, stars]) {
    for (const one of [glyph, muted_glyph]) {
      one.setv(one.type == "Scatter" ? {line_color: colour, fill_color: colour} : {line_color: colour, line_dash: dash}, alone);
    }
  }
  line.data_source.setv({data: {...source.data}, tags: source.tags}, alone);
  dots.setv({visible: source.data.dot.some((size) => size > 0)}, alone);
  stars.setv({visible: source.data.star.some((size) => size > 0)}, alone);
});
figure.title.setv({text: title}, alone);
note.setv({text: noted, visible: noted != ""}, alone);
legend.setv({visible: needs_legend}, alone);
figure.left[0].setv({axis_label: y_label}, alone);
if (cb_obj == choice) {
  figure.setv({tags: [unit]}, alone);
  y_switch.execute(y_toggle);
  figure.y_range.reset();
}
