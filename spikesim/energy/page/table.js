// A table whose headings are buttons that sort it.

const sorting = {};  // table -> {column, down}: kept when the profile changes

// columns: [{title, value(row), text(row), words, long, mark(row), about}]; foot: cells of the last row, or null.
function sortable(id, columns, rows, foot, chosen) {
  const place = document.getElementById(id);
  const head = element("tr"), body = element("tbody"), table = element("table");
  const draw = () => {
    const by = sorting[id], ordered = [...rows];
    if (by) {
      const value = columns[by.column].value;
      const compare = (a, b) => (typeof a === "string" ? a.localeCompare(b, "en", { numeric: true }) : a - b);
      ordered.sort((a, b) => (by.down ? -1 : 1) * compare(value(a), value(b)));
    }
    body.replaceChildren(...ordered.map((row) => {
      const cells = columns.map((column) => {
        const loses = column.mark && column.mark(row);
        const cell = element("td", { class: [column.words && "words", column.long && "long", loses && "loses"].filter(Boolean).join(" ") });
        cell.append(column.text(row), loses ? " ▲" : "");
        return cell;
      });
      return element("tr", chosen && chosen(row) ? { class: "chosen" } : {}, ...cells);
    }));
    [...head.children].forEach((cell, i) => {
      const state = by && by.column === i ? (by.down ? "descending" : "ascending") : "none";
      cell.setAttribute("aria-sort", state);
      cell.querySelector("button").textContent = columns[i].title + { none: "", ascending: " ↑", descending: " ↓" }[state];
    });
  };
  columns.forEach((column, i) => {
    const button = element("button", { type: "button" }, column.title);
    if (column.about) button.title = column.about;
    button.addEventListener("click", () => {
      const by = sorting[id], again = by && by.column === i;
      // Numbers begin with the largest, names with the first.
      sorting[id] = { column: i, down: again ? !by.down : !column.words };
      draw();
    });
    head.append(element("th", { scope: "col", class: column.words ? "words" : "" }, button));
  });
  table.append(element("thead", {}, head), body);
  if (foot) table.append(element("tfoot", {}, element("tr", {}, ...foot.map((text) => element("td", {}, text)))));
  draw();
  place.replaceChildren(table);
}
