// The keyboard on the grid: one stop of the Tab key, from where the arrow keys go from cell to cell, empty or taken.
// Enter opens one, Escape leaves.
"use strict";

(() => {
  const day = document.getElementById("day-grid");
  if (!day) return;
  const CELLS = ".dg-gap, .dg-visit";

  const number = (cell, letter) => Number(cell.className.match(new RegExp(`\\b${letter}-(\\d+)\\b`))?.[1] || 0);
  const rowOf = (cell) => number(cell, "r");
  const cellsOf = (column) => [...column.querySelectorAll(CELLS)].sort((one, other) => rowOf(one) - rowOf(other));

  function go(cell) {
    if (!cell) return;
    cell.focus({ preventScroll: true });
    cell.scrollIntoView({ block: "nearest", inline: "nearest" });
  }

  // The cell of a column that holds the row, else the one nearest to it.
  function nearest(column, row) {
    const away = (cell) => Math.max(rowOf(cell) - row, row - rowOf(cell) - number(cell, "h") + 1, 0);
    return cellsOf(column).reduce((best, cell) => (best && away(best) <= away(cell) ? best : cell), null);
  }

  // Where the grid is entered: in its first column, at what is on now.
  function entrance() {
    const column = [...day.querySelectorAll(".dg-col")].find((each) => each.querySelector(CELLS));
    const now = day.querySelector(".dg-axis .dg-now");
    return column ? nearest(column, now ? rowOf(now) : 0) : null;
  }

  // The one cell that Tab stops at: the last one that had the keyboard. A grid without cells is a stop itself.
  let stop = null;
  function stopAt(cell) {
    if (stop && stop !== cell) stop.tabIndex = -1;
    stop = cell;
    if (cell) cell.tabIndex = 0;
    const grid = day.querySelector(".dg");
    if (grid) grid.tabIndex = cell ? -1 : 0;
  }
  function settle() {
    for (const visit of day.querySelectorAll(".dg-visit:not([tabindex])")) visit.tabIndex = -1;
    const same = stop && (stop.isConnected ? stop : stop.id && document.getElementById(stop.id));
    const focused = day.contains(document.activeElement) && document.activeElement.closest(CELLS);
    stopAt(focused || same || entrance());
  }
  settle();
  day.addEventListener("day-drawn", settle);
  day.addEventListener("focusin", (event) => {
    const cell = event.target.closest(CELLS);
    if (cell) stopAt(cell);
  });

  function beside(column, by) {
    for (let next = column; (next = by > 0 ? next.nextElementSibling : next.previousElementSibling); ) {
      if (next.matches(".dg-col") && next.querySelector(CELLS)) return next;
    }
    return null;
  }

  day.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.shiftKey) return;
    const cell = event.target.closest(CELLS);
    const grid = event.target.closest(".dg");
    if (!grid) return;
    const sideways = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    const down = { ArrowUp: -1, ArrowDown: 1 }[event.key];
    if (!cell) {
      if (!down || event.target !== grid) return;
      event.preventDefault();
      go(stop || entrance());
      return;
    }
    const column = cell.closest(".dg-col");
    if (down) {
      const cells = cellsOf(column);
      go(cells[cells.indexOf(cell) + down]);
    } else if (sideways) {
      const forward = getComputedStyle(day).direction === "rtl" ? -sideways : sideways;
      const next = beside(column, forward);
      if (next) go(nearest(next, rowOf(cell)));
    } else if (event.key === "Home" || event.key === "End") {
      const cells = cellsOf(column);
      go(event.key === "Home" ? cells[0] : cells[cells.length - 1]);
    } else if (event.key === "Escape") {
      grid.focus({ preventScroll: true });
    } else return;
    event.preventDefault();
  });

  // Anywhere else on the page, up and down lead into the grid.
  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || event.shiftKey) return;
    if (!["ArrowDown", "ArrowUp"].includes(event.key) || event.target !== document.body) return;
    event.preventDefault();
    go(entrance());
  });
})();
