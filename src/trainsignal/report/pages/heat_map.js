// Shows what `source` holds: its name, its powers of two, and beside the heat map the distribution at a step.
const {image, total, x, dw, y, dh, most, title} = source.data;
const here = {sync: false}; // a server need not hear of it
heat_map.title.setv({text: title[0]}, here);
colours.setv({high: most[0]}, here);
const [low, high] = [y[0] - 0.5, y[0] + dh[0] + 0.5];
if (powers.reset_start !== low || powers.reset_end !== high) {
  powers.setv({start: low, end: high, reset_start: low, reset_end: high}, here);
}

const stretch = Math.max(0, x.findLastIndex((begin) => begin <= slider.value));
const steps = total[stretch].length;
const width = dw[stretch] / steps;
const step = Math.min(steps - 1, Math.max(0, Math.floor((slider.value - x[stretch]) / width)));
const begin = x[stretch] + step * width;
const exponents = Array.from({length: dh[0]}, (_, power) => y[0] + 0.5 + power);
const data = {
  exponent: exponents,
  share: exponents.map((_, power) => image[stretch][power * steps + step]),
  total: exponents.map(() => total[stretch][step]),
};
bars.setv({data}, here);
chosen.setv({left: begin, right: begin + width}, here);
distribution.title.setv({text: `${word} ${stepsFrom(begin, width)}`}, here);
