// Booking looks for free times again when something they depend on changes. On its own page and in the diary's panel.
"use strict";

(() => {
  const LOOKS_AGAIN = ["what", "practitioner", "day", "room", "device"];

  function lookAgain(field) {
    const form = field.closest("[data-booking]");
    if (!form) return;
    const inPanel = form.querySelector("[data-show]");
    if (inPanel) {
      // In the panel a chosen time is looked at too: what speaks against it stands there before anybody presses Book.
      if ([...LOOKS_AGAIN, "starts_at"].includes(field.name)) window.htmx.trigger(inPanel, "click");
      return;
    }
    if (!LOOKS_AGAIN.includes(field.name)) return;
    const button = form.querySelector(".dy-show");
    // Another kind of visit has other people and devices to choose from: the whole page looks again.
    if (field.name === "what") form.requestSubmit(button);
    else window.htmx.trigger(button, "click");
  }
  document.addEventListener("change", (event) => lookAgain(event.target));

  // A kind of visit chosen before this script listened. Not one that Back brought along: nobody could go back past it.
  const early = [...document.querySelectorAll("[data-booking] [name=what]")].find((each) => each.checked && !each.defaultChecked);
  if (early && performance.getEntriesByType("navigation")[0]?.type === "navigate") lookAgain(early);

  // A day chosen from the row of days is the day of the form.
  document.addEventListener("click", (event) => {
    const chip = event.target.closest(".dy-chip");
    const day = chip?.form?.elements.namedItem("day");
    if (day) day.value = chip.value;
  });

  // From the search field down to who was found. Enter goes to the first, and opens nobody by itself: while somebody
  // types, the list may still be about fewer letters.
  document.addEventListener("keydown", (event) => {
    const search = event.target.closest("[data-picks]");
    const list = document.getElementById("people");
    if (!list || (!search && !list.contains(event.target))) return;
    const found = [...list.querySelectorAll("a[href]")];
    const at = found.indexOf(document.activeElement);
    const isFresh = list.querySelector("[data-found-for]")?.dataset.foundFor.trim() === event.target.value?.trim();
    if (event.key === "ArrowDown" || (event.key === "Enter" && event.target.matches("input") && isFresh)) {
      event.preventDefault();
      found[Math.min(at + 1, found.length - 1)]?.focus();
    } else if (event.key === "ArrowUp" && at >= 0) {
      event.preventDefault();
      (at ? found[at - 1] : document.getElementById("book-q"))?.focus();
    }
  });
})();
