// 0.02, 500, and 10⁻⁷ or 5·10⁶ beyond.
const power = Math.floor(Math.log10(tick) + 1e-9);
if (power >= -3 && power <= 4) return String(Number(tick.toPrecision(6)));
const mantissa = Number((tick / 10 ** power).toPrecision(6));
return `${mantissa == 1 ? "" : `${mantissa}·`}10${raised(power)}`;
