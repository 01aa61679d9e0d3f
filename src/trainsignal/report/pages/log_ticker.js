// Ticks at powers of ten, not too many; in between at 2 and 5 where there is room; within a part of a decade at
// even distances, as on a linear scale.
const {start, end} = cb_data;
if (!(start > 0)) return []; // the range is still a linear one
const first = Math.floor(Math.log10(start)), last = Math.ceil(Math.log10(end));
const decades = Math.log10(end / start);
if (decades < 0.5) {
  const rough = (end - start) / 5, power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 5, 10].find((mantissa) => mantissa * power >= rough);
  const count = Math.floor(end / step) - Math.ceil(start / step) + 1;
  return Array.from({length: count}, (_, i) => Number(((Math.ceil(start / step) + i) * step).toPrecision(12)));
}
const every = Math.max(1, Math.round(decades / 6));
const mantissas = decades <= 1 ? [1, 1.5, 2, 3, 4, 5, 6, 7, 8, 9] : decades <= 3 ? [1, 2, 5] : [1];
const found = [];
for (let power = first; power <= last; power++) {
  if (power % every == 0) found.push(...mantissas.map((mantissa) => Number(`${mantissa}e${power}`)));
}
return found.filter((tick) => tick >= start && tick <= end);
