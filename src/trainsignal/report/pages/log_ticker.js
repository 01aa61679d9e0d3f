// Ticks at powers of ten, not too many; in between at 2 and 5 where there is room.
const {start, end} = cb_data;
if (!(start > 0)) return []; // the range is still a linear one
const first = Math.floor(Math.log10(start)), last = Math.ceil(Math.log10(end));
const decades = Math.log10(end / start);
const every = Math.max(1, Math.round(decades / 6));
const mantissas = decades <= 1 ? [1, 1.5, 2, 3, 4, 5, 6, 7, 8, 9] : decades <= 3 ? [1, 2, 5] : [1];
const found = [];
for (let power = first; power <= last; power++) {
  if (power % every == 0) found.push(...mantissas.map((mantissa) => Number(`${mantissa}e${power}`)));
}
return found.filter((tick) => tick >= start && tick <= end);
