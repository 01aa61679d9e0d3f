return Number.isInteger(tick) ? powerOfTwo(tick) : "";
