// Bytes in the unit in which the ticks are round: "1.5 GiB" beside "2 GiB", but "1,480 MiB" beside "1,500 MiB".
const units = ["bytes", "KiB", "MiB", "GiB", "TiB"];
const apart = ticks.length > 1 ? Math.min(...ticks.slice(1).map((next, i) => next - ticks[i])) : Math.abs(tick);
const step = Math.min(Math.max(Math.floor(Math.log2(apart || 1) / 10), 0), units.length - 1);
return tick == 0 ? "0" : `${(tick / 1024 ** step).toLocaleString("en", {maximumFractionDigits: 2})} ${units[step]}`;
