// The grid after it has looked again: only the columns that differ are drawn anew, so that nothing stutters. Scroll and
// keyboard stay where they are. Without this script the whole grid is swapped.
"use strict";

(() => {
  const day = document.getElementById("day-grid");
  if (!day) return;
  const columnsOf = (grid) => [...grid.querySelectorAll(":scope > .dg-col")];
  const number = (cell, letter) => Number(cell.className.match(new RegExp(`\\b${letter}-(\\d+)\\b`))?.[1] || 0);

  day.addEventListener("htmx:configRequest", (event) => {
    if (event.detail.elt !== day) return;
    event.detail.headers["X-Shown"] = columnsOf(day.querySelector(".dg") || day).map((each) => each.dataset.mark).join();
  });
  document.addEventListener("htmx:beforeSwap", (event) => {
    if (event.detail.target !== day || !event.detail.shouldSwap) return;
    event.detail.shouldSwap = false;
    draw(event.detail.serverResponse);
  });

  function draw(answer) {
    const page = new DOMParser().parseFromString(answer, "text/html");
    const fresh = page.querySelector(".dg");
    const grid = day.querySelector(".dg");
    const focus = where();
    if (fresh && grid) merge(grid, fresh);
    else day.replaceChildren(...page.body.childNodes);
    back(focus);
    day.dispatchEvent(new CustomEvent("day-drawn"));
  }

  function merge(grid, fresh) {
    const axis = grid.querySelector(".dg-axis");
    const newAxis = fresh.querySelector(".dg-axis");
    if (!axis.isEqualNode(newAxis)) axis.replaceWith(document.adoptNode(newAxis));
    const shown = new Map(columnsOf(grid).map((each) => [each.dataset.mark, each]));
    const wanted = columnsOf(fresh).map((each) => {
      if (!("kept" in each.dataset)) return document.adoptNode(each);
      const kept = shown.get(each.dataset.mark);
      passOn(kept, each);
      return kept;
    });
    const places = columnsOf(grid);
    if (places.length !== wanted.length || wanted.some((each, at) => each.isConnected && each !== places[at])) {
      grid.replaceChildren(grid.querySelector(".dg-axis"), ...wanted); // somebody more or fewer works here
      return;
    }
    for (const [at, column] of wanted.entries()) {
      if (column !== places[at]) fill(places[at], column);
    }
  }

  // The column stays and has new contents: to put another in its place makes the browser style the whole page again.
  function fill(column, fresh) {
    for (const { name, value } of fresh.attributes) column.setAttribute(name, value);
    column.replaceChildren(...fresh.childNodes);
  }

  // A column that is the same but for the time: the line of now moves on, and what is over can no longer be booked.
  function passOn(column, fresh) {
    const over = Number(fresh.dataset.over);
    for (const gap of column.querySelectorAll(".dg-gap")) {
      if (number(gap, "r") + number(gap, "h") - 1 <= over) gap.remove();
    }
    const line = column.querySelector(".dg-now");
    const now = fresh.querySelector(".dg-now");
    if (line && now) line.className = now.className;
    else if (line) line.remove();
    else if (now) column.querySelector(".dg-lane").append(document.adoptNode(now));
  }

  // Where the keyboard is: on a visit or an empty cell, and in which column and row.
  function where() {
    const cell = document.activeElement?.closest("#day-grid .dg-visit, #day-grid .dg-gap");
    return cell && { id: cell.id, href: cell.getAttribute("href"), ref: cell.closest(".dg-col").dataset.ref };
  }

  function back(focus) {
    if (!focus || day.contains(document.activeElement) || document.activeElement !== document.body) return;
    const same = focus.id ? document.getElementById(focus.id) : day.querySelector(`.dg-gap[href="${CSS.escape(focus.href)}"]`);
    same?.focus({ preventScroll: true });
  }
})();
