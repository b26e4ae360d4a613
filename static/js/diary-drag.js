// Dragging a visit on the day grid: its body moves it, its lower edge makes it longer or shorter. The page "Move…" and
// the number on the visit's page do the same without a pointer. The server decides; the card itself never stays moved.
"use strict";

(() => {
  const SNAP = 3; // rows of five minutes: a move goes by quarters of an hour, a length by five minutes
  const FAR = 5; // pixels before a press is a drag
  const HOLD = 350; // milliseconds before a touch is a drag: until then the finger scrolls
  const day = document.getElementById("day-grid");
  if (!day) return;
  let held = null;

  const tip = document.createElement("div");
  tip.className = "dg-tip";
  tip.hidden = true;
  document.body.append(tip);

  const clock = (seconds, zone) =>
    new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", timeZone: zone }).format(seconds * 1000);

  function rowHeight(card) {
    const grid = card.closest(".dg");
    return parseFloat(getComputedStyle(grid).getPropertyValue("--dg-row")) * parseFloat(getComputedStyle(document.documentElement).fontSize);
  }

  // In a week the columns are days, and where the clocks change a day has no time for some rows that others have.
  function instantOf(column, row) {
    const [from, rows] = (column.dataset.missing || "1 0").split(" ").map(Number);
    return Number(column.dataset.first) + (row - Math.min(Math.max(row - from + 1, 0), rows)) * 300;
  }
  function startOf(card, rows, over, column) {
    const row = Number(card.className.match(/\br-(\d+)\b/)[1]) - 1;
    return Number(card.dataset.start) + instantOf(over, row + rows) - instantOf(column, row);
  }

  function begin() {
    // Where the columns are is asked once: to ask on every move would lay the whole day out again each time.
    held.columns = [...held.grid.querySelectorAll(".dg-col")].map((each) => {
      const { left, right } = each.getBoundingClientRect();
      return { each, left, right };
    });
    held.left = held.columns.find(({ each }) => each === held.column).left;
    held.across = held.grid.scrollLeft;
    held.isOn = true;
    held.card.classList.add("is-dragged");
    held.column.classList.add("is-lifted"); // above the columns that come after it
    held.card.setPointerCapture?.(held.pointer);
    tip.hidden = false;
  }

  function drop() {
    if (!held) return;
    clearTimeout(held.timer);
    held.card.classList.remove("is-dragged");
    held.column.classList.remove("is-lifted");
    held.card.removeAttribute("style"); // even an empty one would be copied by the next swap, which the policy refuses
    tip.hidden = true;
    held = null;
  }

  day.addEventListener("dragstart", (event) => event.preventDefault());

  day.addEventListener("pointerdown", (event) => {
    const card = event.target.closest("[data-drag]");
    if (!card || event.button !== 0 || held) return;
    const grid = card.closest(".dg");
    held = {
      card,
      grid,
      pointer: event.pointerId,
      at: event.timeStamp,
      x: event.clientX,
      y: event.clientY,
      scroll: grid.scrollTop,
      sizes: Boolean(event.target.closest(".dg-grip")),
      column: card.closest(".dg-col"),
      row: rowHeight(card),
      height: card.getBoundingClientRect().height,
      isOn: false,
      rows: 0,
    };
    held.over = held.column;
    if (event.pointerType === "touch") held.timer = setTimeout(begin, HOLD);
  });

  document.addEventListener("pointermove", (event) => {
    if (!held || event.pointerId !== held.pointer) return;
    const dx = event.clientX - held.x;
    const dy = event.clientY - held.y + held.grid.scrollTop - held.scroll;
    if (!held.isOn) {
      if (Math.hypot(dx, dy) < FAR) return;
      if (event.pointerType === "touch") return drop(); // the finger scrolls
      begin();
    } else if (event.pointerType === "touch" && event.timeStamp - held.at < HOLD && Math.hypot(dx, dy) >= FAR) {
      return drop(); // it scrolled in time; only the page was too busy to notice
    }
    const { card } = held;
    if (held.sizes) {
      const least = 1 - Number(card.dataset.work) / 5;
      held.rows = Math.max(Math.round(dy / held.row), least);
      card.style.blockSize = `${held.height + held.rows * held.row}px`;
      tip.textContent = `${Number(card.dataset.work) + held.rows * 5} min`;
    } else {
      held.rows = Math.round(dy / held.row / SNAP) * SNAP;
      const x = event.clientX + held.grid.scrollLeft - held.across;
      const under = held.columns.find(({ left, right }) => x >= left && x < right);
      held.over = under?.each || held.over;
      const shift = held.columns.find(({ each }) => each === held.over).left - held.left;
      card.style.transform = `translate(${shift}px, ${held.rows * held.row}px)`;
      tip.textContent = clock(startOf(card, held.rows, held.over, held.column), day.dataset.zone);
    }
    tip.style.left = `${event.clientX + 14}px`;
    tip.style.top = `${event.clientY - 8}px`;
  });

  // Once a finger holds a visit, the page under it stands still.
  day.addEventListener("touchmove", (event) => held?.isOn && event.preventDefault(), { passive: false });
  day.addEventListener("contextmenu", (event) => held && event.preventDefault());

  // The click that ends a drag does not open the visit.
  function silenceClick() {
    const quiet = (click) => {
      click.preventDefault();
      click.stopPropagation();
    };
    window.addEventListener("click", quiet, { capture: true, once: true });
    setTimeout(() => window.removeEventListener("click", quiet, { capture: true }), 50);
  }

  document.addEventListener("pointerup", (event) => {
    if (!held || event.pointerId !== held.pointer) return;
    const { isOn, card, rows, over, column, sizes } = held;
    drop();
    if (!isOn) return;
    silenceClick();
    if (!rows && over === column) return;
    const values = { version: card.dataset.drag };
    if (sizes) {
      values.minutes = Number(card.dataset.work) + rows * 5;
    } else {
      values.starts_at = startOf(card, rows, over, column);
      if (over.dataset.ref !== column.dataset.ref) values[over.dataset.kind] = over.dataset.ref;
    }
    card.setAttribute("aria-busy", "true");
    const path = `${card.getAttribute("href")}${sizes ? "length" : "drop"}/`;
    window.htmx.ajax("POST", path, { source: document.getElementById("day-notice"), target: "#day-notice", values });
  });
  document.addEventListener("pointercancel", drop);
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || !held?.isOn) return;
    drop();
    document.addEventListener("pointerup", silenceClick, { once: true });
  });

  // A refusal is shown like any other answer, and whatever came of it the grid looks again.
  document.addEventListener("htmx:beforeSwap", (event) => {
    if (event.detail.target.id !== "day-notice" || event.detail.xhr.status !== 409) return;
    event.detail.shouldSwap = true;
    event.detail.isError = false;
  });
  document.addEventListener("htmx:afterRequest", (event) => {
    if (event.detail.target?.id !== "day-notice") return;
    day.querySelectorAll("[aria-busy]").forEach((card) => card.removeAttribute("aria-busy"));
    window.htmx.trigger(day, "day-changed");
  });
})();
