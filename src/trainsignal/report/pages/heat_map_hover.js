// Says in words what lies under the pointer, in a heat map or in a distribution; `format` tells what of it.
const data = source.data;
const cell = special_vars.image_index;
switch (format) {
  case "step": {
    const width = data.dw[cell.index] / data.total[cell.index].length;
    return stepsFrom(data.x[cell.index] + cell.i * width, width);
  }
  case "power": {
    const exponent = Math.round(value);
    if (exponent === data.lowest[0]) return `≤ ${powerOfTwo(exponent)} or zero`;
    return exponent === data.highest[0] ? `≥ ${powerOfTwo(exponent)}` : powerOfTwo(exponent);
  }
  case "count": {
    const total = cell ? data.total[cell.index][cell.i] : bars.data.total[special_vars.index];
    return `${wholeNumber(Math.round(value * total))} of ${wholeNumber(Math.round(total))}`;
  }
  default:
    return `${Number((100 * value).toPrecision(3))} %`;
}
