// Small habits that every page shares. Everything here only helps: each page also works without it.
"use strict";

document.documentElement.classList.add("js");

// The menu button of small screens: data-opens names what it opens.
document.addEventListener("click", (event) => {
  const opener = event.target.closest("[data-opens]");
  if (opener) {
    const body = document.getElementById(opener.dataset.opens);
    const open = body.classList.toggle("is-open");
    opener.setAttribute("aria-expanded", String(open));
  }
  const closer = event.target.closest("[data-close]");
  if (closer) closer.closest(".ag-notice, dialog")?.remove();
  const dialogOpener = event.target.closest("[data-dialog]");
  if (dialogOpener) {
    event.preventDefault();
    document.getElementById(dialogOpener.dataset.dialog)?.showModal();
  }
  const dismisser = event.target.closest("[data-dismiss]");
  if (dismisser) dismisser.closest("dialog")?.close();
  if (event.target.closest("[data-print]")) window.print();
});

// A second tap on the same button does not send the form again.
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (!form.matches("[data-once]") || event.defaultPrevented) return;
  if (form.dataset.sent) {
    event.preventDefault();
    return;
  }
  form.dataset.sent = "yes";
  event.submitter?.setAttribute("aria-busy", "true");
});
// Coming back with the Back button, the form may be sent again.
window.addEventListener("pageshow", () => {
  for (const form of document.querySelectorAll("form[data-sent]")) {
    delete form.dataset.sent;
    form.querySelector("[aria-busy]")?.removeAttribute("aria-busy");
  }
});

// A field marked data-submits sends its form when changed.
document.addEventListener("change", (event) => {
  if (event.target.matches("[data-submits]")) event.target.form.requestSubmit();
});

// Who typed into a search field before the page listened has not typed in vain.
document.addEventListener("htmx:load", (event) => {
  if (event.detail.elt !== document.body) return;
  for (const field of document.querySelectorAll("input[type=search][hx-get]")) {
    if (field.value !== field.defaultValue) window.htmx.trigger(field, "search");
  }
});

// "/" goes to the search field: the page's own, if it has one.
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || document.body.dataset.keys === "off") return;
  if (event.target.closest("input, textarea, select, [contenteditable]")) return;
  const key = `[data-key="${CSS.escape(event.key)}"]`;
  const field = [...document.querySelectorAll(`main ${key}`), ...document.querySelectorAll(key)].find((each) => each.offsetParent);
  if (field) {
    event.preventDefault();
    field.focus();
  }
});

// After a refused form, the keyboard and the screen reader start at what is wrong.
document.addEventListener("DOMContentLoaded", () => {
  document.querySelector("[data-focus-me]")?.focus();
});

// Polled banners are only touched when they say something new, so that a screen reader hears it once.
// A refused form (422) is shown like any other answer.
document.addEventListener("htmx:beforeSwap", (event) => {
  const target = event.detail.target;
  if (event.detail.xhr.status === 422) {
    event.detail.shouldSwap = true;
    event.detail.isError = false;
  }
  if (target.matches("[data-swap-if-new]") && event.detail.shouldSwap) {
    const said = event.detail.serverResponse.trim();
    if (target.said === said) event.detail.shouldSwap = false;
    target.said = said;
  }
});
