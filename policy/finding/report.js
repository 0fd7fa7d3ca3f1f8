// The page is whole without this script: it adds a filter and the sorting of columns, and opens the
// text of an id that was followed.
(() => {
  "use strict";
  const openTarget = () => {
    const target = document.getElementById(location.hash.slice(1));
    if (target && target.tagName === "DETAILS") target.open = true;
  };
  addEventListener("hashchange", openTarget);
  addEventListener("beforeprint", () => document.querySelectorAll("details").forEach((d) => { d.open = true; }));
  openTarget();

  const table = document.getElementById("list");
  if (!table) return;
  const body = table.tBodies[0];
  const rows = Array.from(body.rows, (row) => ({ row, text: row.textContent.toLowerCase() }));
  const input = document.getElementById("filter");
  const shown = document.getElementById("shown");

  const filter = () => {
    const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    let count = 0;
    for (const { row, text } of rows) {
      const match = words.every((word) => text.includes(word));
      row.hidden = !match;
      if (match) count++;
    }
    shown.value = words.length ? count + " of " + rows.length + " shown" : rows.length + " shown";
  };
  input.addEventListener("input", filter);
  document.getElementById("tools").hidden = false;
  filter();

  const collator = new Intl.Collator("en", { numeric: true, sensitivity: "base" });
  const heads = Array.from(table.tHead.rows[0].cells);
  const sort = (column) => {
    const head = heads[column];
    const up = head.getAttribute("aria-sort") !== "ascending";
    heads.forEach((h) => h.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", up ? "ascending" : "descending");
    const keyed = rows.map(({ row }) => {
      const cell = row.cells[column];
      return { row, key: cell.dataset.sort || cell.textContent };
    });
    keyed.sort((a, b) => (up ? 1 : -1) * collator.compare(a.key, b.key));
    body.append(...keyed.map(({ row }) => row));
  };
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = head.textContent;
    head.replaceChildren(button);
    button.addEventListener("click", () => sort(column));
  });
})();
