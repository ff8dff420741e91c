// One object in an image: a click sets a point, a drag a box; both are fields, too.

import { api, upload } from "./api.js";
import { $, announce, element, focusView, percent, show, showError, showMessage } from "./view.js";

const DRAG = 4; // pixels of the screen: a shorter movement is a click

let image = null; // the chosen File

function problem(text = "") {
  $("prompt-error").hidden = !text;
  $("prompt-error").textContent = text;
}

function choose(file) {
  image = file;
  problem();
  URL.revokeObjectURL($("prompt-image").src);
  $("prompt-image").src = URL.createObjectURL(file);
  $("prompt-point").value = $("prompt-box").value = "";
  draw();
}

/** The numbers of a field, or null where there are others than asked for. */
function numbers(field, length) {
  const values = $(field).value.split(",").map((text) => (text.trim() ? Number(text) : NaN));
  return values.length === length && values.every(Number.isFinite) ? values : null;
}

/** Show point and box on the image. */
function draw() {
  problem();
  const { naturalWidth: width, naturalHeight: height } = $("prompt-image");
  $("prompt-stage").hidden = !width;
  if (!width) return;
  const [canvas, unit] = [$("prompt-canvas"), Math.max(width, height) / 200];
  Object.assign(canvas, { width, height });
  const context = canvas.getContext("2d");
  Object.assign(context, { lineWidth: unit, strokeStyle: "#fff", fillStyle: "#e8640a" });
  const [point, box] = [numbers("prompt-point", 2), numbers("prompt-box", 4)];
  if (box) context.strokeRect(box[0], box[1], box[2] - box[0], box[3] - box[1]);
  if (!point) return;
  context.beginPath();
  context.arc(...point, 3 * unit, 0, 2 * Math.PI);
  context.fill();
  context.stroke();
}

/** A position on the canvas in pixels of the image. */
function pixel({ clientX, clientY }) {
  const canvas = $("prompt-canvas");
  const { left, top, width, height } = canvas.getBoundingClientRect();
  const at = (value, size) => Math.min(size - 1, Math.max(0, Math.floor(value)));
  return [at(((clientX - left) / width) * canvas.width, canvas.width), at(((clientY - top) / height) * canvas.height, canvas.height)];
}

function startPointing() {
  let start = null;
  const canvas = $("prompt-canvas");
  canvas.onpointerdown = (event) => {
    start = event;
    canvas.setPointerCapture(event.pointerId);
  };
  canvas.onpointermove = canvas.onpointerup = (event) => {
    if (!start) return;
    const moved = Math.hypot(event.clientX - start.clientX, event.clientY - start.clientY) > DRAG;
    const [a, b] = [pixel(start), pixel(event)];
    const box = [Math.min(a[0], b[0]), Math.min(a[1], b[1]), Math.max(a[0], b[0]) + 1, Math.max(a[1], b[1]) + 1];
    $("prompt-box").value = moved ? box.join(",") : "";
    $("prompt-point").value = moved ? "" : b.join(",");
    if (event.type === "pointerup") start = null;
    draw();
  };
}

async function submit(event) {
  event.preventDefault();
  const [point, box] = [$("prompt-point").value.trim(), $("prompt-box").value.trim()];
  if (!image) return problem("Choose an image first.");
  if (!point && !box) return problem("Click on the object, drag a box around it, or fill in the point or the box.");
  if (point && !numbers("prompt-point", 2)) return problem("The point must be two numbers, such as 320,200.");
  if (box && !numbers("prompt-box", 4)) return problem("The box must be four numbers, such as 80,40,560,470.");
  problem();
  const form = new FormData();
  if (point) form.append("point", point);
  if (box) form.append("box", box);
  form.append("file", image, image.name);
  history.replaceState(null, "", "/");
  try {
    location.hash = (await upload(form, { path: "/v1/prompt", signal: {}, onProgress: () => {} })).id;
  } catch (error) {
    showError(error);
  }
}

/** Show the mask of a prompt's job. */
export async function showMask(path, job) {
  const { iou, marked_area: area } = await api(job.results["summary.json"]);
  const find = show("mask");
  const href = job.results["mask.png"];
  find("h2").textContent = `The object in ${job.name}`;
  find(".facts").textContent = `${percent(area)} of the image · predicted IoU ${iou.toFixed(2)}`;
  find(".warnings").hidden = iou >= 0.3;
  for (const mask of document.querySelectorAll("#view .mask")) mask.src = href;
  find(".cutout").hidden = image?.name !== job.name; // after a reload, or from a link
  if (image) find(".cutout img").src = $("prompt-image").src;
  const name = `${job.name.replace(/\.[^.]*$/, "")}-mask.png`;
  find(".files").append(element("li", {}, element("a", { className: "button primary", href, download: name, textContent: "Mask (PNG)" })));
  find(".danger").onclick = async () => {
    await api(path, "DELETE").catch(() => {});
    history.replaceState(null, "", "/");
    showMessage("Deleted", `The mask of ${job.name} was removed from the server.`);
  };
  announce(find("h2").textContent);
  focusView(find("h2"));
}

/** Offer prompts where the server has a model for them. */
export function startPrompts(model) {
  $("prompt").hidden = !model;
  $("prompt-model").textContent = `It is segmented by ${model}; sound plays no role.`;
  $("prompt").onsubmit = submit;
  $("prompt-file").onchange = () => $("prompt-file").files[0] && choose($("prompt-file").files[0]);
  $("prompt-image").onload = draw;
  $("prompt-image").onerror = () => image && problem(`This browser cannot show ${image.name}.`);
  $("prompt-point").oninput = $("prompt-box").oninput = draw;
  startPointing();
}
