// Numbers in words. Stands before the scripts that use it.
const wholeNumber = (number) => number.toLocaleString("en");
const stepsFrom = (first, count) => wholeNumber(first) + (count > 1 ? `–${wholeNumber(first + count - 1)}` : "");

// "⁻⁷" for -7.
const raised = (exponent) => String(exponent).replace(/./g, (sign) => "⁰¹²³⁴⁵⁶⁷⁸⁹⁻"["0123456789-".indexOf(sign)]);
const powerOfTwo = (exponent) => `2${raised(exponent)}`;

// The largest unit in which so many bytes are 1 or more: its name, and how many bytes it has.
function byteUnit(bytes) {
  const names = ["bytes", "KiB", "MiB", "GiB", "TiB"];
  const step = Math.min(Math.max(Math.floor(Math.log2(Math.abs(bytes) || 1) / 10), 0), names.length - 1);
  return [names[step], 1024 ** step];
}
