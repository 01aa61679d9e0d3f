// What the readout tells of a point, in words. Stands after words.js, and before readout.js.

// A value with all its digits, and none that 32 bits do not hold.
function exact(value, column) {
  if (column instanceof Float32Array) {
    for (let count = 1; count <= 9; count++) {
      const short = Number(value.toPrecision(count));
      if (Math.fround(short) == value) return String(short);
    }
  }
  return String(value);
}

function amount(value, column, unit) {
  const text = exact(value, column);
  if (unit == "") return text;
  if (unit != "bytes") return `${text} ${unit == "percent" ? "%" : unit == "seconds" ? "s" : unit}`;
  const [name, size] = byteUnit(value);
  return `${Number((value / size).toPrecision(4))} ${name} (${wholeNumber(value)})`;
}

// "45.2 s", "3 min 12 s", "3 h 12 min", "2 d 5 h", as everywhere on the page.
function duration(seconds) {
  if (!isFinite(seconds)) return "–";
  if (seconds < 59.95) return `${Number(seconds.toPrecision(3))} s`;
  const whole = Math.round(seconds);
  const sizes = [[86400, "d", 3600, "h"], [3600, "h", 60, "min"], [60, "min", 1, "s"]];
  const [size, unit, smaller, smallerUnit] = sizes.find(([size]) => whole >= size);
  const rest = Math.floor((whole % size) / smaller);
  return `${Math.floor(whole / size)} ${unit}${rest ? ` ${rest} ${smallerUnit}` : ""}`;
}

// Where a point lies: its row, or its epoch, the minibatches done and the time.
function places({tag, data, i}) {
  if (tag.axis == "row") return [wholeNumber(data.row[i])];
  const epoch = tag.holds ? Math.floor(data.epoch[i] + 1e-9) : Math.ceil(data.epoch[i] - 1e-9) - 1;
  const minibatch = data.minibatch[i];
  return [String(Math.max(epoch, 0)), isFinite(minibatch) ? wholeNumber(minibatch) : "–", duration(data.time[i])];
}
