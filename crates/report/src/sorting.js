// Tables are sorted by a click, or Enter, on a column's head: from large to small, then the other way.
const sortable = (table) => {
  const heads = [...table.querySelectorAll("thead th")];
  const body = table.querySelector("tbody");
  const value = (row, column) => {
    const text = (row.children[column]?.textContent ?? "").trim().replace("\u2212", "-").replaceAll(",", "");
    const number = parseFloat(text);
    return Number.isNaN(number) ? text : number;
  };
  const compare = (a, b) => {
    if (typeof a === typeof b) return typeof a === "number" ? b - a : a.localeCompare(b);
    return typeof a === "number" ? -1 : 1;
  };
  heads.forEach((head, column) => {
    const sort = () => {
      const up = head.getAttribute("aria-sort") === "descending";
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", up ? "ascending" : "descending");
      const rows = [...body.children].sort((a, b) => compare(value(a, column), value(b, column)));
      body.append(...(up ? rows.reverse() : rows));
    };
    head.tabIndex = 0;
    head.title = "Sort by this column";
    head.addEventListener("click", sort);
    head.addEventListener("keydown", (event) => { if (event.key === "Enter") sort(); });
  });
};
document.addEventListener("DOMContentLoaded", () => {
  document.querySelector("h1").before(themeButton());
  for (const table of document.querySelectorAll("table")) {
    // one whose heads span columns has no column to sort by
    if (table.querySelector("tbody") !== null) if (table.querySelector("thead [colspan]") === null) sortable(table);
  }
});
