// Tells the values at the pointer, of all lines in one box, and marks the points that they belong to.
// Bokeh's own hover tool has a box for each line, and they hide each other. Text only: nothing is parsed.
const MOST_ROWS = 8;
const figure = cb_obj.origin;
const view = cb_context.index.find_one(figure);
const frame = view.frame;
const {sx, sy} = cb_obj;

let box = document.getElementById("readout");
if (box == null) {
  box = document.body.appendChild(document.createElement("div"));
  box.id = "readout";
  box.style.cssText = "position: fixed; inset: 0; pointer-events: none; z-index: 1000; font: 12px/1.5 system-ui, sans-serif;";
  for (const gone of ["wheel", "scroll", "keydown"]) {
    addEventListener(gone, () => box.replaceChildren(), {capture: true, passive: true});
  }
}
box.replaceChildren();
if (cb_obj.event_name == "mouseleave" || !frame.bbox.contains(sx, sy)) return;

const canvas = view.canvas_view.el.getBoundingClientRect();
const x_scale = frame.x_scale, y_scale = frame.y_scale;
const pointer = x_scale.invert(sx);

// The point of a line that is nearest in x; of one that holds its values, the one that holds there.
function nearest(xs, values, holds) {
  let found = -1, least = Infinity;
  for (let i = 0; i < xs.length; i++) {
    if (!isFinite(values[i]) || !isFinite(xs[i]) || (holds && xs[i] > pointer)) continue;
    const distance = Math.abs(xs[i] - pointer);
    if (distance < least) [found, least] = [i, distance];
  }
  return found;
}

const lines = [];
for (const renderer of figure.renderers) {
  const [tag] = renderer.data_source.tags;
  const is_line = renderer.glyph.type == "Line" || renderer.glyph.type == "Step";
  if (tag == null || !is_line || renderer.muted) continue;
  const data = renderer.data_source.data;
  const i = nearest(data[renderer.glyph.x.field], data.value, tag.holds);
  if (i < 0) continue;
  const at_x = x_scale.compute(data[renderer.glyph.x.field][i]), at_y = y_scale.compute(data.value[i]);
  const is_shown = at_y >= frame.bbox.top && at_y <= frame.bbox.bottom;
  lines.push({tag, data, i, at_x, at_y, is_shown, distance: Math.hypot(tag.holds ? 0 : at_x - sx, at_y - sy)});
}
const by_distance = lines.toSorted((a, b) => a.distance - b.distance);
const told = new Set(by_distance.slice(0, MOST_ROWS));

function element(name, style, text = "") {
  const made = document.createElement(name);
  made.style.cssText = style;
  made.textContent = text;
  return made;
}

const table = element("table", "border-spacing: 8px 0; margin: 0 -8px;");
const heads = lines.some(({tag}) => tag.axis == "row") ? ["row"] : ["epoch", "minibatches", "time"];
const head = table.appendChild(element("tr", "color: var(--soft, GrayText);"));
head.append(...["", "", "", ...heads].map((text) => element("td", "text-align: right;", text)));
for (const line of lines.filter((line) => told.has(line))) {
  const {tag, data, i} = line;
  const row = table.appendChild(element("tr", line == by_distance[0] && lines.length > 1 ? "font-weight: bold;" : ""));
  const swatch = row.appendChild(element("td", "")).appendChild(element("div", "width: 10px; height: 10px; border-radius: 5px;"));
  swatch.style.background = tag.colour;
  row.append(element("td", "max-width: 20em; overflow-wrap: anywhere;", tag.label));
  const best = data.star[i] > 0 ? " ★" : "";
  const number = "text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums;";
  row.append(...[amount(data.value[i], data.value, tag.unit) + best, ...places(line)].map((text) => element("td", number, text)));
}

const panel = element("div", `position: absolute; padding: 6px 10px; border-radius: 6px; max-width: calc(100vw - 16px); box-sizing: border-box;
  color: var(--ink, CanvasText); background: var(--panel, Canvas); border: 1px solid var(--faint, GrayText); box-shadow: 0 2px 8px #0003;`);
const notes = [];
for (const {data_source, glyph} of figure.renderers.filter(({name}) => name == "marks")) {
  data_source.data[glyph.x.field].forEach((x, i) => {
    if (Math.abs(x_scale.compute(x) - sx) <= 6) notes.push(data_source.data.text[i]);
  });
}
if (lines.length > 0) panel.append(table);
if (lines.length > told.size) panel.append(element("div", "color: var(--soft, GrayText);", `and ${lines.length - told.size} more`));
panel.append(...notes.map((text) => element("div", "max-width: 30em; overflow-wrap: anywhere;", text)));
if (lines.length == 0 && notes.length == 0) return;

for (const {at_x, at_y, is_shown, tag} of told) {
  if (!is_shown || at_x < frame.bbox.left || at_x > frame.bbox.right) continue;
  const dot = box.appendChild(element("div", "position: absolute; width: 7px; height: 7px; margin: -5px; border-radius: 50%; border: 1.5px solid var(--page, Canvas);"));
  dot.style.background = tag.colour;
  dot.style.left = `${canvas.left + at_x}px`;
  dot.style.top = `${canvas.top + at_y}px`;
}
box.append(panel);
const {width, height} = panel.getBoundingClientRect();
const right = canvas.left + sx + 16, below = canvas.top + sy + 16;
panel.style.left = `${right + width < innerWidth ? right : Math.max(8, canvas.left + sx - 16 - width)}px`;
panel.style.top = `${below + height < innerHeight ? below : Math.max(8, canvas.top + sy - 16 - height)}px`;
