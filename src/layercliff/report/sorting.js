// Every heading of a table of data sorts its rows, down the second time. Numbers come first, in their order, then what lies beyond them and other words; empty
// cells are always last, and rows that tie stay in the order of the page.
for (const table of document.querySelectorAll("table.sortable")) {
  const headings = [...table.tHead.rows[0].cells], body = table.tBodies[0];
  [...body.rows].forEach((row, place) => row.dataset.place = place);
  headings.forEach((heading, column) => {
    const button = document.createElement("button");
    button.append(...heading.childNodes);
    heading.append(button);
    button.addEventListener("click", () => {
      const down = heading.getAttribute("aria-sort") === "ascending";
      for (const other of headings) other.removeAttribute("aria-sort");
      heading.setAttribute("aria-sort", down ? "descending" : "ascending");
      const rows = [...body.rows].filter(row => row.dataset.place).map(row => ({ row, below: row.nextElementSibling, text: cellText(row, column) }));
      const numeric = rows.some(({ text }) => NUMBER.test(text)) && rows.every(({ text }) => !text || NUMBER.test(text) || OPEN.test(text));
      const order = numeric ? byNumber : (a, b) => a.localeCompare(b, undefined, { numeric: true });
      rows.sort((a, b) => !a.text - !b.text || (down ? -1 : 1) * order(a.text, b.text) || a.row.dataset.place - b.row.dataset.place);
      for (const { row, below } of rows) body.append(row, ...(below?.matches(".detail") ? [below] : []));
    });
  });
}

const NUMBER = /^[+-]?\d[\d.]*(?=$|[\s%,\[])/, OPEN = /^(beyond|censored|never|none|undecided)/;

function cellText(row, column) {
  const cell = row.cells[column];
  return cell && cell.colSpan === 1 ? cell.textContent.trim() : "";
}

function byNumber(a, b) {
  const rank = text => NUMBER.test(text) ? 0 : /\d/.test(text) ? 1 : 2;  // known, beyond a number, without one
  const value = text => parseFloat(text.match(/[+-]?\d[\d.]*/)?.[0] ?? 0);
  return rank(a) - rank(b) || value(a) - value(b) || (rank(a) ? a.localeCompare(b) : 0);
}
