// Seconds as "15 s", "3 min", "1:30 min", "2 h" or "2:15 h": as fine as the ticks are apart.
if (tick == 0) return "0";
const apart = ticks.length > 1 ? Math.abs(ticks[1] - ticks[0]) : 1;
const largest = Math.max(...ticks.map(Math.abs));
const seconds = Math.abs(tick), sign = tick < 0 ? "-" : "";
const two = (number) => (number < 10 ? `0${number}` : `${number}`);
const rest = two(Number((seconds % 60).toFixed(3)));
const minutes = Math.floor(seconds / 60), hours = Math.floor(seconds / 3600);
if (largest <= 120) return `${sign}${Number(seconds.toFixed(6))} s`;
if (largest < 3600) return `${sign}${minutes}${apart < 60 ? `:${rest}` : ""} min`;
const fine = apart < 60 ? `:${two(minutes % 60)}:${rest}` : apart < 3600 ? `:${two(minutes % 60)}` : "";
return `${sign}${hours}${fine} h`;
