"use strict";
for (const button of document.querySelectorAll("th button")) {
  button.addEventListener("click", () => {
    const head = button.parentElement, table = head.closest("table"), body = table.tBodies[0];
    const index = [...head.parentElement.children].indexOf(head);
    const down = head.getAttribute("aria-sort") === "ascending";
    const key = (row) => row.cells[index].dataset.sort ?? row.cells[index].textContent;
    const compare = (a, b) => key(a).localeCompare(key(b), undefined, { numeric: true });
    for (const other of head.parentElement.children) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
    body.append(...[...body.rows].sort((a, b) => (down ? compare(b, a) : compare(a, b))));
  });
}
const filter = document.querySelector("#filter");
filter?.addEventListener("input", () => {
  const wanted = filter.value.toLowerCase();
  for (const table of document.querySelectorAll("details")) {
    let shown = 0;
    for (const row of table.querySelectorAll("tbody tr")) {
      row.hidden = !(table.dataset.table + " " + row.textContent).toLowerCase().includes(wanted);
      shown += row.hidden ? 0 : 1;
    }
    table.hidden = wanted !== "" && shown === 0;
  }
});
