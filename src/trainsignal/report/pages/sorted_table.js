// Sorts the rows of a table by the column whose header was clicked; what is missing stays last, either way.
const head = event.target.closest("th");
if (head === null) return;
const order = head.ariaSort === "ascending" ? "descending" : "ascending";
for (const other of head.parentElement.cells) other.ariaSort = null;
head.ariaSort = order;
head.getRootNode().host.dataset.sorted = `${head.cellIndex} ${order}`;
const told = (row) => row.cells[head.cellIndex].firstElementChild.dataset;
const compared = (one, other) =>
  "number" in one ? one.number - other.number : one.text.localeCompare(other.text, undefined, {numeric: true});
const isMissing = (key) => key.number === "" || key.text === "";
const body = head.closest("table").tBodies[0];
const rows = [...body.rows].sort((one, other) => {
  const [a, b] = [told(one), told(other)];
  return isMissing(a) - isMissing(b) || (order === "ascending" ? 1 : -1) * compared(a, b);
});
body.append(...rows);
