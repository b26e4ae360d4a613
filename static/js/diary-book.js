// Booking beside the grid: an empty cell opens the steps of booking in a panel. Without this script the same cell
// leads to the same steps as pages.
"use strict";

(() => {
  const panel = document.getElementById("quick-panel");
  const body = document.getElementById("quick");
  const day = document.getElementById("day-grid");
  if (!panel || !body) return;
  let opener = ""; // the address of the cell, because the grid may be drawn anew while the panel is open
  let booked = "";
  let folds = {};

  function open(href) {
    opener = href;
    booked = "";
    folds = {};
    body.replaceChildren();
    panel.setAttribute("aria-busy", "true");
    panel.showModal();
    window.htmx.ajax("GET", href, { source: body, target: "#quick", swap: "innerHTML settle:0s" });
  }

  document.addEventListener("click", (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey || event.button !== 0 || event.defaultPrevented) return;
    const cell = event.target.closest(".dg-gap, [data-quick]");
    if (!cell) return;
    event.preventDefault();
    open(cell.getAttribute("href"));
  });
  // A click beside the panel closes it, as long as nothing was typed that would be lost.
  panel.addEventListener("click", (event) => {
    if (event.target === panel && !panel.querySelector("form[method=post]")) panel.close();
  });

  // What was unfolded stays unfolded when a step is shown again.
  body.addEventListener("htmx:beforeSwap", (event) => {
    if (event.detail.target !== body) return;
    for (const each of body.querySelectorAll("[data-keeps-open]")) folds[each.dataset.keepsOpen] = each.open;
  });
  body.addEventListener("htmx:afterSettle", (event) => {
    panel.removeAttribute("aria-busy");
    if (event.detail.target !== body) return;
    for (const each of body.querySelectorAll("[data-keeps-open]")) each.open ||= Boolean(folds[each.dataset.keepsOpen]);
    // Only now does the page listen to what is typed. The keyboard goes to what is wrong, else stays where it was, else to the first thing to answer.
    const wanted = ["[data-focus-me]"];
    if (!body.contains(document.activeElement)) wanted.push("#book-q", "input:checked", "input:not([type=hidden])", "a[href]");
    const next = wanted.map((each) => body.querySelector(each)).find(Boolean);
    next?.focus();
    // Who typed faster than the page could listen has not typed in vain.
    const search = document.getElementById("book-q");
    if (search?.value && !body.querySelector("[data-found-for]")) window.htmx.trigger(search, "search");
  });
  // A step that could not be fetched is opened as a page: nobody is left before an empty panel.
  for (const name of ["htmx:sendError", "htmx:responseError"]) {
    body.addEventListener(name, () => {
      panel.removeAttribute("aria-busy");
      if (!body.childElementCount) window.location.assign(opener);
    });
  }

  document.addEventListener("visit-booked", (event) => {
    booked = event.detail.ref;
    panel.close();
    if (day) window.htmx.trigger(day, "day-changed");
  });

  const cellAt = (href) => day?.querySelector(`a[href="${CSS.escape(href)}"]`);

  panel.addEventListener("close", () => {
    body.replaceChildren();
    // The browser gives the keyboard back by itself, unless the cell was drawn anew meanwhile.
    if (!booked && opener) (cellAt(opener) || document.querySelector(`[data-quick][href="${CSS.escape(opener)}"]`))?.focus();
  });
  day?.addEventListener("day-drawn", () => {
    if (!booked) return;
    day.querySelector(`.dg-visit[id$="${CSS.escape(booked)}"]`)?.focus();
    booked = "";
  });
})();
