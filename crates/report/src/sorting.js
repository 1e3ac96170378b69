// Tables are sorted by a click on a column's head, numbers from large to small and words from A to Z, a second click the other way.
const sortable = (table) => {
  const heads = [...table.querySelectorAll("thead th")];
  const body = table.querySelector("tbody");
  const words = (row, column) => (row.children[column]?.textContent ?? "").trim();
  // a number at the beginning, with or without a unit or an interval behind it
  const number = (text) => {
    const found = text.replaceAll(",", "").match(/^([+\u2212-]?[0-9]+([.][0-9]+)?)([\s%(\[]|$)/);
    return found === null ? null : Number(found[1].replace("\u2212", "-"));
  };
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "sort";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const rows = [...body.children];
      const filled = rows.filter((row) => words(row, column) !== "\u2013");
      const numeric = filled.every((row) => number(words(row, column)) !== null);
      const first = numeric ? "descending" : "ascending";
      const second = numeric ? "ascending" : "descending";
      const way = head.getAttribute("aria-sort") === first ? second : first;
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", way);
      const up = (a, b) => numeric
        ? number(words(a, column)) - number(words(b, column))
        : words(a, column).localeCompare(words(b, column));
      filled.sort(way === "ascending" ? up : (a, b) => up(b, a));
      // what has no value stays below
      body.append(...filled, ...rows.filter((row) => words(row, column) === "\u2013"));
    });
  });
};
document.addEventListener("DOMContentLoaded", () => {
  document.querySelector("h1").before(themeButton());
  for (const table of document.querySelectorAll("table")) {
    // one whose heads span columns has no column to sort by
    if (table.querySelector("tbody") !== null) if (table.querySelector("thead [colspan]") === null) sortable(table);
  }
});
