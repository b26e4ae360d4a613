// The desk's day: single keys, and looking again without flicker. The pages work without any of it.
"use strict";

(() => {
  const keysAreOn = () => document.body.dataset.keys !== "off"; // kept on the server, for the person

  // --- looking again: the page says which state it shows, the server answers 304 while it is the same ---------------
  document.addEventListener("htmx:configRequest", (event) => {
    const polled = event.detail.elt;
    if (polled.matches("[data-polled]")) event.detail.headers["If-None-Match"] = polled.dataset.etag;
  });
  let acts = 0; // how often something was done on this page
  document.addEventListener("htmx:beforeRequest", (event) => {
    if (event.detail.requestConfig.verb !== "get") acts += 1;
    event.detail.xhr.acts = acts;
    // Not while a row is being worked on, and not in a tab nobody looks at.
    if (!event.detail.elt.matches("[data-polled]")) return;
    if (document.hidden || event.detail.elt.querySelector("[aria-busy], .is-dragged")) event.preventDefault();
  });
  document.addEventListener("htmx:beforeSwap", (event) => {
    const polled = event.detail.target;
    if (!polled.matches("[data-polled]")) return;
    if (event.detail.xhr.status === 304) {
      event.detail.shouldSwap = false;
      event.detail.isError = false;
      return;
    }
    if (polled.querySelector(".is-dragged") || event.detail.xhr.acts !== acts) {
      // The answer came while something is held, or is older than what was done since: nothing jumps under the pointer
      // or back to what it was, the next look brings it.
      event.detail.shouldSwap = false;
      return;
    }
    polled.dataset.etag = event.detail.xhr.getResponseHeader("ETag") || "";
    polled.lastRow = polled.querySelector("[data-row]:focus")?.closest("[data-visit]").id;
  });
  document.addEventListener("htmx:afterSwap", (event) => {
    const polled = event.detail.target;
    if (!polled.matches("[data-polled]")) return;
    const row = polled.lastRow && document.getElementById(polled.lastRow);
    row?.querySelector("[data-row]")?.focus({ preventScroll: true });
  });
  // After an act on a row the keyboard stays on that row.
  document.addEventListener("htmx:afterSwap", (event) => {
    const row = document.getElementById(event.detail.target.id);
    if (row && row.matches(".dy-line")) row.querySelector("[data-row]")?.focus({ preventScroll: true });
  });

  // --- keys ---------------------------------------------------------------------------------------------------------
  const rows = () => [...document.querySelectorAll("[data-row]")];

  function step(by) {
    const all = rows();
    if (!all.length) return;
    const at = all.indexOf(document.activeElement);
    const next = at < 0 ? (by > 0 ? 0 : all.length - 1) : Math.min(Math.max(at + by, 0), all.length - 1);
    all[next].focus();
    all[next].scrollIntoView({ block: "nearest", inline: "nearest" });
  }

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    const dialog = event.target.closest("dialog");
    // A field in a dialog that was just closed may still have the focus: the key is not meant for it.
    if (dialog ? dialog.open : event.target.closest("input, textarea, select, [contenteditable]")) return;
    if (!dialog && document.querySelector("dialog[open]")) return;
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      if (!rows().length || document.getElementById("day-grid")) return; // the grid has its own way
      event.preventDefault();
      step(event.key === "ArrowDown" ? 1 : -1);
      return;
    }
    if (!keysAreOn() && event.key !== "?") return;
    if (event.target.matches(".dg") && event.key.startsWith("Arrow")) return; // the grid scrolls by itself
    const row = document.activeElement?.closest("[data-visit]");
    const inRow = row?.querySelector(`[data-row-key="${CSS.escape(event.key)}"]`);
    const opener = row?.matches("a") ? row : row?.querySelector("[data-row]");
    const onPage = document.querySelector(`[data-shortcut="${CSS.escape(event.key)}"]`);
    if (inRow) {
      event.preventDefault();
      inRow.click();
    } else if (event.key === "a" && row?.matches(".dg-visit") && document.querySelector("#day-notice[data-acts]")) {
      event.preventDefault();
      const notice = document.getElementById("day-notice");
      window.htmx.ajax("POST", `${row.getAttribute("href")}arrived/`, { source: notice, target: "#day-notice", values: { notice: 1 } });
    } else if (event.key === "m" && opener) {
      event.preventDefault();
      window.location.assign(`${opener.getAttribute("href")}move/`);
    } else if (onPage) {
      event.preventDefault();
      onPage.click();
    }
  });

  document.getElementById("keys-on")?.addEventListener("change", (event) => {
    document.body.dataset.keys = event.target.checked ? "on" : "off";
  });

  // A closed list of keys lets go of the keyboard, or the next key would be meant for its box.
  document.getElementById("keys")?.addEventListener("close", (event) => {
    if (event.target.contains(document.activeElement)) document.activeElement.blur();
  });

  // --- the grid opens where the day is ------------------------------------------------------------------------------
  const grid = document.querySelector(".dg");
  const now = grid?.querySelector(".dg-axis .dg-now");
  if (now) grid.scrollTop = Math.max(now.offsetTop - grid.clientHeight / 3, 0);
  // A week that is wider than the screen opens at today's column, beside the hours that stay in place.
  const today = grid?.querySelector(".dg-col .dg-now")?.closest(".dg-col").getBoundingClientRect();
  const axis = grid?.querySelector(".dg-axis")?.getBoundingClientRect();
  const frame = grid?.getBoundingClientRect();
  if (today && axis && (today.right > frame.right || today.left < frame.left)) {
    grid.scrollLeft += document.dir === "rtl" ? today.right - axis.left : today.left - axis.right;
  }
})();
