// 500, 20k, 1.5M: long numbers would overlap.
const largest = Math.max(...ticks.map(Math.abs));
const [size, unit] = largest >= 1e6 ? [1e6, "M"] : largest >= 1e4 ? [1e3, "k"] : [1, ""];
return `${Number((tick / size).toPrecision(12))}${tick == 0 ? "" : unit}`;
