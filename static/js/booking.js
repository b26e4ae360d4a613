// The booking form looks for free times again when something they depend on changes.
"use strict";

document.getElementById("book")?.addEventListener("change", (event) => {
  const names = ["what", "practitioner", "day", "room", "device"];
  if (!names.includes(event.target.name)) return;
  const form = event.currentTarget;
  const button = form.querySelector(".dy-show");
  if (event.target.name === "what") {
    // Another kind of visit has other people and devices to choose from: the whole page looks again.
    form.requestSubmit(button);
    return;
  }
  window.htmx.trigger(button, "click");
});

// A day chosen from the row of days is the day of the form.
document.addEventListener("click", (event) => {
  const chip = event.target.closest(".dy-chip");
  const day = chip?.form?.elements.namedItem("day");
  if (day) day.value = chip.value;
});
