// Bytes in the unit in which the ticks are round: "1.5 GiB" beside "2 GiB", but "1,480 MiB" beside "1,500 MiB".
const apart = ticks.length > 1 ? Math.min(...ticks.slice(1).map((next, i) => next - ticks[i])) : tick;
const [unit, size] = byteUnit(apart);
return tick == 0 ? "0" : `${(tick / size).toLocaleString("en", {maximumFractionDigits: 2})} ${unit}`;
