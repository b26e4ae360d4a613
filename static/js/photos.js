// Shows a chosen photo before it is sent, and makes a large one smaller on the phone, so that it travels on a slow line.
// The picture is drawn, not linked: the page's security policy stays as strict as everywhere.
"use strict";

(() => {
  const LARGEST = 25 * 1024 * 1024;
  const WORTH_SHRINKING = 1.5 * 1024 * 1024;
  const PREVIEW = 640;

  function drawnTo(canvas, bitmap, longest) {
    const scale = Math.min(1, longest / Math.max(bitmap.width, bitmap.height));
    canvas.width = Math.round(bitmap.width * scale);
    canvas.height = Math.round(bitmap.height * scale);
    canvas.getContext("2d").drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  }

  async function shrink(field, bitmap, longest) {
    const file = field.files[0];
    const isKnown = field.accept.split(",").includes(file.type);
    if (isKnown && file.size < WORTH_SHRINKING) return;
    const canvas = document.createElement("canvas");
    drawnTo(canvas, bitmap, longest);
    const blob = await new Promise((done) => canvas.toBlob(done, "image/jpeg", 0.9));
    if (!blob || (isKnown && blob.size >= file.size)) return;
    const changed = new DataTransfer();
    changed.items.add(new File([blob], "photo.jpg", { type: "image/jpeg" }));
    field.files = changed.files;
  }

  async function show(picker, field) {
    const preview = picker.querySelector("[data-preview]");
    const says = picker.querySelector("[data-picked]");
    preview.hidden = true;
    says.textContent = "";
    for (const other of picker.querySelectorAll("input[type=file]")) if (other !== field) other.value = "";
    const file = field.files[0];
    if (!file) return;
    const form = field.form;
    form.dataset.busy = "yes";
    try {
      const bitmap = await createImageBitmap(file, { imageOrientation: "from-image" });
      drawnTo(preview, bitmap, PREVIEW);
      preview.hidden = false;
      if (picker.dataset.shrink) await shrink(field, bitmap, Number(picker.dataset.shrink));
      bitmap.close();
      says.textContent = picker.dataset.saysReady;
    } catch {
      says.textContent = picker.dataset.saysBlind;
    }
    if (field.files[0].size > LARGEST) says.textContent = picker.dataset.saysLarge;
    delete form.dataset.busy;
    if (form.dataset.wanted) {
      delete form.dataset.wanted;
      form.requestSubmit();
    }
  }

  document.addEventListener("change", (event) => {
    const picker = event.target.closest("[data-picker]");
    if (picker && event.target.type === "file") show(picker, event.target);
  });

  // Pressed while the photo is still being made smaller: sent as soon as it is.
  document.addEventListener(
    "submit",
    (event) => {
      if (!event.target.dataset.busy) return;
      event.preventDefault();
      event.target.dataset.wanted = "yes";
    },
    true,
  );
})();
