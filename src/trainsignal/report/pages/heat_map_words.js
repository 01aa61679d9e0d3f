const wholeNumber = (number) => number.toLocaleString("en");
const stepsFrom = (first, count) => wholeNumber(first) + (count > 1 ? `–${wholeNumber(first + count - 1)}` : "");
const powerOfTwo = (exponent) => "2" + String(exponent).replace(/./g, (sign) => "⁰¹²³⁴⁵⁶⁷⁸⁹⁻"["0123456789-".indexOf(sign)]);
