// Saves each answer when it is given. While there is no connection the answers wait on the page and are tried again.
// Nothing is kept in the browser's storage: whoever picks up the phone later finds nothing there.
"use strict";

(() => {
  const form = document.querySelector("[data-intake]");
  if (!form) return;
  const status = form.querySelector("[data-status]");
  const says = form.dataset;
  const waiting = new Set(); // questions given but not saved
  let sending = false;
  let pause = 1000;
  let timer = 0;
  let goingOn = null; // the button that asked to go on while answers were waiting

  const asked = (key) => form.querySelector(`[data-question="${CSS.escape(key)}"]`);

  function say(text, isWaiting) {
    status.textContent = text;
    status.classList.toggle("is-waiting", Boolean(isWaiting));
  }

  function complain(question, sentence) {
    const place = question.querySelector("[data-error]");
    place.replaceChildren();
    if (sentence) place.append(Object.assign(document.createElement("p"), { textContent: sentence }));
    question.classList.toggle("ag-field-wrong", Boolean(sentence));
  }

  function body(question) {
    const data = new FormData();
    data.append("csrfmiddlewaretoken", form.elements.csrfmiddlewaretoken.value);
    data.append("question", question.dataset.question);
    data.append("was", question.querySelector("[data-was]").value);
    for (const field of question.querySelectorAll("input[name], textarea[name]")) {
      const isTapped = field.type === "radio" || field.type === "checkbox";
      if (field.type !== "hidden" && (!isTapped || field.checked)) data.append(field.name, field.value);
    }
    return data;
  }

  function retry() {
    say(navigator.onLine ? says.saysWaiting : `${says.saysWaiting}. ${says.saysOffline}`, true);
    clearTimeout(timer);
    timer = setTimeout(flush, pause);
    pause = Math.min(pause * 2, 15000);
  }

  async function flush() {
    if (sending) return;
    sending = true;
    clearTimeout(timer);
    while (waiting.size) {
      const [key] = waiting;
      waiting.delete(key); // an answer changed while this one travels is put back by its own change
      if (!(await send(key))) {
        waiting.add(key);
        sending = false;
        retry();
        return;
      }
      pause = 1000;
    }
    sending = false;
    if (goingOn) leave();
  }

  // True when the answer needs no further try: saved, or refused with a sentence.
  async function send(key) {
    const question = asked(key);
    let answer;
    say(says.saysSaving, false);
    try {
      answer = await fetch(says.saveUrl, { method: "POST", body: body(question), headers: { Accept: "application/json" } });
    } catch {
      return false;
    }
    if (answer.status === 422 || answer.status === 409) {
      complain(question, (await answer.json()).error);
      say("", false);
      goingOn = null;
      return true;
    }
    if (answer.status === 403 || answer.status === 404 || answer.redirected) {
      goingOn = null;
      say(says.saysClosed, true);
      return true;
    }
    if (!answer.ok) return false;
    saved(question, await answer.json());
    return true;
  }

  function saved(question, told) {
    complain(question, "");
    question.querySelector("[data-was]").value = told.was;
    const notice = question.querySelector("[data-notice]");
    notice.textContent = told.notice;
    notice.hidden = !told.notice;
    for (const each of form.querySelectorAll("[data-question]")) each.hidden = !told.asked.includes(each.dataset.question);
    say(`${says.saysSaved} ${told.saved}`, false);
  }

  function leave() {
    goingOn = null;
    form.submit();
  }

  // "Not sure" and "none of these" stand alone; anything else takes them away.
  function tidy(field, question) {
    if (field.type !== "checkbox" || !field.checked) return;
    for (const other of question.querySelectorAll("input[type=checkbox]")) {
      if (other !== field && ("alone" in field.dataset || "alone" in other.dataset)) other.checked = false;
    }
  }

  // Typing a date chooses it; choosing something else empties the boxes. True when there is something to save.
  function settleDate(field, question) {
    const boxes = [...question.querySelectorAll("[data-boxes] input")];
    if (!boxes.length) return true;
    const onDate = question.querySelector("input[value=date]");
    if (boxes.includes(field)) onDate.checked = boxes.some((box) => box.value.trim());
    else if (field !== onDate) for (const box of boxes) box.value = "";
    if (!onDate.checked) return true;
    return boxes.every((box) => box.value.trim()) && boxes[2].value.trim().length === 4;
  }

  form.addEventListener("input", (event) => {
    const question = event.target.closest("[data-question]");
    if (question && event.target.closest("[data-boxes]")) settleDate(event.target, question);
  });

  function given(field) {
    const question = field.closest("[data-question]");
    if (!question) return;
    tidy(field, question);
    if (!settleDate(field, question)) return;
    waiting.add(question.dataset.question);
    flush();
  }
  form.addEventListener("change", (event) => given(event.target));

  // What was answered before this script listened is saved too. Not where Back or Reload brought old answers along.
  const isTapped = (field) => ["radio", "checkbox"].includes(field.type);
  const isEarly = (field) => {
    if (!isTapped(field)) return field.value !== field.defaultValue && field !== document.activeElement; // still typing
    return field.checked !== field.defaultChecked && (field.checked || field.type === "checkbox");
  };
  if (performance.getEntriesByType("navigation")[0]?.type === "navigate") {
    for (const field of form.querySelectorAll("[data-question] input:not([type=hidden]), [data-question] textarea")) {
      if (isEarly(field)) given(field);
    }
  }

  form.addEventListener("submit", (event) => {
    if (!sending && !waiting.size && navigator.onLine) return;
    event.preventDefault();
    goingOn = true;
    if (navigator.onLine) flush();
    else say(says.saysOffline, true);
  });

  window.addEventListener("online", () => {
    pause = 1000;
    flush();
  });

  window.addEventListener("beforeunload", (event) => {
    if (waiting.size) event.preventDefault();
  });
})();
