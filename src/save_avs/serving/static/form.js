// The form: videos, or images with their sound, are chosen, uploaded one by one, and listed.

import { api, upload } from "./api.js";
import { record } from "./recorder.js";
import { $, ERRORS, ProgressView, count, element, showError, showMessage, sleep } from "./view.js";

const SAVE = ["overlay", "video", "masks", "logits", "timeline", "png", "coco", "npz", "cvat", "labelstudio"];
const POLL_MS = 1200;

let clips = []; // the chosen ones: { name, files: [[part of the form, File], ...], size }
let halves = { images: [], sounds: [] }; // which may be chosen one after the other
let limits = { size: Infinity };

function formError(text = "") {
  $("form-error").hidden = !text;
  $("form-error").textContent = text;
}

const kindOf = ({ type }) => ["image", "audio"].find((kind) => type.startsWith(kind)) ?? "video";

/** Take videos, each of which is a clip, or images and a sound, which are one together. */
function choose(files) {
  const [videos, images, sounds] = ["video", "image", "audio"].map((kind) => files.filter((file) => kindOf(file) === kind));
  let problem = "";
  if (videos.length && (images.length || sounds.length)) problem = "Choose videos, or images with one sound, not both.";
  else if (sounds.length > 1) problem = "Choose one sound for the images, not several.";
  if (problem || videos.length) halves = { images: [], sounds: [] };
  else halves = { images: images.length ? images : halves.images, sounds: sounds.length ? sounds : halves.sounds };
  const [sound] = halves.sounds;
  if (sound && halves.images.length) {
    const inOrder = halves.images.toSorted((a, b) => (a.name < b.name ? -1 : 1)).map((image) => ["frames", image]);
    showChoice([clipOf(sound.name, [...inOrder, ["audio", sound]], `${count(inOrder.length, "image")} with ${sound.name}`)]);
  } else showChoice(problem ? [] : videos.map((video) => clipOf(video.name, [["file", video]])), problem);
}

const clipOf = (name, files, label = name) => ({ name, files, label, size: files.reduce((sum, [, file]) => sum + file.size, 0) });

/** Show what is chosen, and what is wrong with it or missing from it. */
function showChoice(chosen, problem = "") {
  const large = chosen.filter(({ size }) => size > limits.size).map(({ label }) => label);
  if (large.length) problem = `${large.join(", ")}: larger than ${limits.size / 1e6} MB, the limit of this server.`;
  formError(problem);
  clips = chosen.filter(({ size }) => size <= limits.size);
  const [first] = clips;
  const video = clips.length === 1 && first.files[0][0] === "file" && first.files[0][1];
  URL.revokeObjectURL($("preview").src);
  $("preview").hidden = !video;
  if (video) $("preview").src = URL.createObjectURL(video);
  const size = `${(clips.reduce((sum, clip) => sum + clip.size, 0) / 1e6).toFixed(1)} MB`;
  let text = "Drop videos, or images with their sound, or";
  if (first) text = `${clips.length > 1 ? `${clips.length} videos` : first.label}, ${size}`;
  else if (!problem && halves.images.length) text = `${count(halves.images.length, "image")}: now choose their sound.`;
  else if (!problem && halves.sounds.length) text = `${halves.sounds[0].name}: now choose the images that belong to it.`;
  $("chosen").textContent = text;
  document.querySelector("label[for=file]").textContent = first ? "Choose others" : "Choose files";
}

function chosenOptions() {
  const [model, fps, threshold, smooth, objects] = ["model", "fps", "threshold", "smooth", "objects"].map((id) => $(id).value);
  const save = $("matte").checked ? [...SAVE, "matte"] : SAVE;
  return { model, fps, threshold, smooth, save, ...(objects && { [objects]: true }) };
}

function formOf({ files }, options) {
  const form = new FormData();
  for (const [name, value] of Object.entries(options)) form.append(name, value); // a list with commas
  for (const [part, file] of files) form.append(part, file, file.name);
  return form;
}

async function submit(event) {
  event.preventDefault();
  if (!clips.length) {
    const half = halves.images.length && "The images have no sound yet: choose a sound file, too.";
    return formError(half || "Choose, drop or record a video first, or use the sample.");
  }
  formError();
  history.replaceState(null, "", "/");
  $("submit").disabled = true;
  await (clips.length === 1 ? submitOne(clips[0]) : submitAll(clips));
  $("submit").disabled = false;
}

/** Segment the clip of a job again at a threshold, if it is still chosen; otherwise ask for it. */
export function submitAgain({ name, options }, threshold) {
  const clip = clips.find((each) => each.name === name);
  if (clip) return submitOne(clip, { ...options, threshold });
  $("threshold").value = threshold;
  $("threshold").oninput();
  document.querySelector("#form details.options").open = true;
  formError(`The server has deleted ${name}: choose it again to segment it at ${threshold.toFixed(2)}.`);
  $("form-error").scrollIntoView({ block: "center" });
  $("file").focus();
}

async function submitOne(clip, options = chosenOptions()) {
  const name = clip.name;
  const abort = new AbortController();
  const view = new ProgressView(() => abort.abort());
  view.update(name, { phase: "uploading", fraction: 0 });
  try {
    const job = await upload(formOf(clip, options), { signal: abort.signal, onProgress: (fraction) => view.update(name, { phase: "uploading", fraction }) });
    if (job) location.hash = job.id;
    else showMessage("Cancelled", `${name} was not uploaded.`);
  } catch (error) {
    showError(error);
  }
}

/** Upload one video after another; a list shows the state of each, and links to it. */
async function submitAll(chosen) {
  $("queue").hidden = false;
  const forms = chosen.map((clip) => ({ form: formOf(clip, chosenOptions()), entry: new QueueEntry(clip.name) }));
  for (const { form, entry } of forms) {
    try {
      const job = await upload(form, { signal: {}, onProgress: (fraction) => entry.show(`uploading, ${Math.floor(100 * fraction)} %`) });
      entry.follow(job.id);
      if (!location.hash) location.hash = job.id;
    } catch (error) {
      entry.show(`${ERRORS[error.code] ?? "failed"}: ${error.message}`);
    }
  }
}

class QueueEntry {
  constructor(name) {
    this.link = element("a", { textContent: name });
    this.state = element("span", { className: "soft", textContent: "to be uploaded" });
    $("queue").querySelector("ol").append(element("li", {}, this.link, " ", this.state));
  }

  show(text) {
    if (this.state.textContent !== text) this.state.textContent = text;
  }

  async follow(id) {
    this.link.href = `#${id}`;
    for (let ended = false; !ended; await sleep(POLL_MS)) {
      try {
        const { state, progress, queue_position: ahead } = await api(`/v1/jobs/${id}`);
        ended = !["accepted", "running"].includes(state);
        const share = state === "running" && progress.fraction != null ? `, ${Math.floor(100 * progress.fraction)} %` : "";
        this.show(state === "accepted" ? `waiting, ${ahead ? `${count(ahead, "job")} ahead` : "next in line"}` : state + share);
      } catch (error) {
        ended = error.code !== "offline";
        this.show(error.status === 404 ? "deleted" : (ERRORS[error.code] ?? error.message));
      }
    }
  }
}

async function useSample() {
  const response = await fetch("/static/sample.mp4").catch(() => null);
  if (!response?.ok) return formError("The sample could not be loaded: the server does not answer.");
  choose([new File([await response.blob()], "sample.mp4", { type: "video/mp4" })]);
}

/** Fill the form with what the server offers. */
export function setUpForm({ models, limits: given }) {
  limits = given;
  $("model").append(...models.map(({ name }) => element("option", { textContent: name })));
  $("model").onchange = () => {
    const { about, sounds, image_size: size, device, precision, runtime } = models[$("model").selectedIndex];
    $("model-about").textContent = about || "Its model card (README.md) does not say what it is good for.";
    $("model-sounds").hidden = !sounds.length;
    $("model-sounds").firstElementChild.textContent = `The ${sounds.length} sounds it was taught`;
    $("model-sounds").lastElementChild.textContent = sounds.join(", ");
    $("model-facts").textContent = `Sees ${size} × ${size} pixels; runs on ${device}, ${precision}, ${runtime}.`;
  };
  $("model").onchange();
  const minutes = given.duration >= 120 ? `${+(given.duration / 60).toFixed(1)} min` : `${given.duration} s`;
  const hours = given.keep >= 3600 ? count(+(given.keep / 3600).toFixed(1), "hour") : count(Math.round(given.keep / 60), "minute");
  $("limits").textContent =
    `Up to ${minutes}, ${given.size / 1e6} MB, ${given.side} pixels per side. ` +
    `A video is deleted as soon as its job has ended, its results after ${hours}.`;
}

export function startForm() {
  $("form").onsubmit = submit;
  $("file").onchange = () => $("file").files[0] && choose([...$("file").files]);
  $("sample").onclick = useSample;
  $("record").hidden = !navigator.mediaDevices?.getUserMedia || !window.MediaRecorder;
  $("record").onclick = () => record((video) => choose([video]));
  $("preview").onerror = () => {
    if (clips.length === 1) $("chosen").textContent = `${clips[0].name}: this browser cannot play it; the server may still read it.`;
    $("preview").hidden = true;
  };
  $("threshold").oninput = () => {
    const value = Number($("threshold").value).toFixed(2);
    $("threshold-value").textContent = value;
    $("threshold").setAttribute("aria-valuetext", value);
  };
  const over = (event) => {
    event.preventDefault();
    $("drop").classList.toggle("over", event.type === "dragover");
    if (event.type === "drop" && event.dataTransfer.files[0]) choose([...event.dataTransfer.files]);
  };
  for (const type of ["dragover", "dragleave", "drop"]) addEventListener(type, over);
}
