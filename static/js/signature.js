// A signature drawn with finger, pen or mouse. Strokes are kept as points from 0 to 1 and written to a hidden field, so
// that the drawing survives a turned phone, a scrolled page and a refused form. Without this script one types a name.
"use strict";

document.addEventListener("DOMContentLoaded", () => {
  for (const pad of document.querySelectorAll("[data-signature]")) startPad(pad);
});

function startPad(pad) {
  const field = document.getElementById(pad.dataset.signature);
  const canvas = pad.querySelector("canvas");
  const pen = canvas.getContext("2d");
  let strokes = readStrokes(field.value);
  let stroke = null;
  pad.hidden = false;

  const redraw = () => {
    const box = canvas.getBoundingClientRect();
    const sharp = window.devicePixelRatio || 1;
    canvas.width = Math.round(box.width * sharp);
    canvas.height = Math.round(box.height * sharp);
    pen.lineWidth = 2.5 * sharp;
    pen.lineCap = pen.lineJoin = "round";
    pen.strokeStyle = getComputedStyle(canvas).color;
    for (const points of strokes) {
      pen.beginPath();
      points.forEach(([x, y], index) => {
        if (index === 0) pen.moveTo(x * canvas.width, y * canvas.height);
        pen.lineTo(x * canvas.width, y * canvas.height);
      });
      pen.stroke();
    }
  };

  const pointOf = (event) => {
    const box = canvas.getBoundingClientRect();
    const within = (value) => Math.round(Math.min(1, Math.max(0, value)) * 1000) / 1000;
    return [within((event.clientX - box.left) / box.width), within((event.clientY - box.top) / box.height)];
  };

  const keep = () => {
    field.value = strokes.length ? JSON.stringify(strokes) : "";
  };

  canvas.addEventListener("pointerdown", (event) => {
    if (event.button > 0) return;
    event.preventDefault();
    canvas.setPointerCapture(event.pointerId);
    stroke = [pointOf(event)];
    strokes.push(stroke);
    redraw();
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!stroke) return;
    stroke.push(pointOf(event));
    redraw();
  });
  for (const end of ["pointerup", "pointercancel"]) {
    canvas.addEventListener(end, () => {
      stroke = null;
      keep();
    });
  }
  pad.querySelector("[data-clear]").addEventListener("click", () => {
    strokes = [];
    keep();
    redraw();
  });
  new ResizeObserver(redraw).observe(canvas);
}

function readStrokes(text) {
  try {
    const strokes = JSON.parse(text);
    return Array.isArray(strokes) ? strokes : [];
  } catch {
    return [];
  }
}
