// What every page has: tables that sort, text that is copied, light and dark.

/** Columns sort by a press on their heads. */
function sortable(table) {
  table.querySelectorAll("thead th").forEach((head, column) => {
    const button = make("button", { type: "button" }, ...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const up = head.getAttribute("aria-sort") !== "ascending";
      table.querySelectorAll("thead th").forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", up ? "ascending" : "descending");
      const text = (row) => row.cells[column].textContent.trim();
      const value = (row) => Number.parseFloat(text(row).replaceAll(",", ""));
      const rows = [...table.tBodies[0].rows];
      // Names may begin with a digit, numbers stand in columns of numbers; what has none is last.
      const numeric = head.classList.contains("n");
      const known = (row) => !numeric || !Number.isNaN(value(row));
      const before = (a, b) => (numeric ? value(a) - value(b) : text(a).localeCompare(text(b), "en", { numeric: true }));
      const sign = up ? 1 : -1;
      rows.sort((a, b) => known(b) - known(a) || (known(a) && known(b) ? sign * before(a, b) : 0));
      table.tBodies[0].append(...rows);
    });
  });
}

document.addEventListener("click", (event) => {
  const button = event.target.closest(".copy");
  if (!button) return;
  const text = button.parentElement.querySelector("code").textContent;
  navigator.clipboard.writeText(text).then(() => { button.textContent = "Copied"; }, () => { button.textContent = "Select and copy"; });
});

document.getElementById("theme").addEventListener("click", () => {
  const root = document.documentElement;
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
});

document.querySelectorAll("table.sortable").forEach(sortable);
