// The page of `save-avs serve`: sends a video to the REST API, follows its job, and shows the result.
// The job's id is the fragment of the address, so that a link to a job can be kept and reloaded.

const PHASES = {
  uploading: "Uploading",
  waiting: "Waiting in the queue",
  starting: "Starting",
  fetching: "Fetching the video",
  opening: "Opening the video",
  segmenting: "Finding sounding objects",
  packing: "Packing the files",
};
const FILES = {
  "overlay.mp4": "Overlay video",
  "matte.mov": "Matte video (alpha)",
  "masks.json": "Masks (JSON, run lengths)",
  "masks.coco.json": "COCO",
  "masks.cvat.xml": "CVAT",
  "masks.labelstudio.json": "Label Studio",
  "masks.npz": "NumPy (NPZ)",
  "masks.zip": "PNG masks (ZIP)",
  "timeline.png": "Timeline (PNG)",
  "waveform.json": "Waveform (JSON)",
  "summary.json": "Summary (JSON)",
};
const SAVE = ["overlay", "masks", "timeline", "png", "coco", "npz", "cvat", "labelstudio"];
const ERRORS = {
  crashed: "The program crashed on this video",
  disk_full: "The server's disk is full",
  frame_too_large: "The frames of this video are too large",
  killed: "This video could not be finished",
  memory: "This video needs too much memory",
  no_token: "You are logged out",
  offline: "The server does not answer",
  queue_full: "The server is busy",
  timeout: "This video took too long",
  too_large: "This file is too large",
  too_long: "This video is too long",
  too_slow: "The upload took too long",
  unreadable: "This file cannot be read as a video",
};
const POLL_MS = 400;

const $ = (id) => document.getElementById(id);
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
const percent = (share) => `${(100 * share).toFixed(1)} %`;
const seconds = (time) => `${time.toFixed(2)} s`;
const count = (n, noun) => `${n} ${noun}${n === 1 ? "" : "s"}`;

/** Create an element with properties and children. */
function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

/** Create an SVG element with attributes. */
function svg(tag, attributes, ...children) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

class ApiError extends Error {
  constructor(status, { code, message } = {}) {
    super(message ?? `The server answered with status ${status}.`);
    this.status = status;
    this.code = code ?? "internal";
  }
}
const offline = () => new ApiError(0, { code: "offline", message: "Check the connection, or whether the server runs." });

/** Call the REST API; returns the parsed JSON, null for an empty answer. */
async function api(path, method = "GET") {
  const response = await fetch(path, { method }).catch(() => null);
  if (!response) throw offline();
  if (response.status === 204) return null;
  const body = await response.json().catch(() => ({}));
  if (!response.ok) throw new ApiError(response.status, body.error);
  return body;
}

/** Send the form of a new job; `fetch` cannot report how much was sent. */
function upload(form, { signal, onProgress }) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.responseType = "json";
    request.upload.onprogress = ({ loaded, total }) => onProgress(loaded / total);
    request.onload = () =>
      request.status === 202 ? resolve(request.response) : reject(new ApiError(request.status, request.response?.error));
    request.onerror = () => reject(offline());
    request.onabort = () => resolve(null);
    signal.onabort = () => request.abort();
    request.open("POST", "/v1/segment");
    request.send(form);
  });
}

// --- Views: each fills #view from its template -------------------------------------------------------------

/** Show a copy of a template in #view; returns the function that finds elements in it. */
function show(name) {
  $("view").replaceChildren($(`${name}-view`).content.cloneNode(true));
  return (selector) => $("view").querySelector(selector);
}

/** Announce something to screen readers. */
function announce(text) {
  if ($("status").textContent !== text) $("status").textContent = text;
}

/** Move the reader to the view, which is below the form on narrow screens. */
function focusView(heading) {
  heading.focus({ preventScroll: true });
  if (matchMedia("(max-width: 56rem)").matches) $("view").scrollIntoView();
}

function showMessage(title, text, { failed = false, login = false } = {}) {
  const find = show("message");
  find(".message").classList.toggle("failed", failed);
  find("h2").textContent = title;
  find("p").textContent = text;
  if (login) find(".row").append(element("a", { className: "button primary", href: `/login${location.hash}`, textContent: "Log in" }));
  announce(`${title}. ${text}`);
  focusView(find("h2"));
}

const showError = (error) =>
  showMessage(ERRORS[error.code] ?? "Something went wrong", error.message, { failed: true, login: error.code === "no_token" });

class ProgressView {
  constructor(onCancel) {
    this.find = show("progress");
    this.find("button").onclick = (event) => {
      event.target.disabled = true;
      onCancel();
    };
    focusView(this.find("h2"));
  }

  update(name, { phase, fraction, frames = 0, frames_per_second: speed = 0, remaining: left = null }, position = null) {
    const heading = `${PHASES[phase] ?? phase}: ${name}`;
    const facts = [];
    if (position != null) facts.push(position ? `${count(position, "job")} ahead` : "next in line");
    if (fraction != null) facts.push(`${Math.floor(100 * fraction)} %`);
    if (frames) facts.push(count(frames, "frame"), `${speed.toFixed(1)} per second`);
    if (left != null) facts.push(`${Math.ceil(left)} s left`);
    const bar = this.find("progress");
    if (fraction == null) bar.removeAttribute("value");
    else bar.value = fraction;
    bar.setAttribute("aria-valuetext", facts.join(", ") || "unknown");
    this.find("h2").textContent = heading;
    this.find("p").textContent = facts.join(" · ");
    announce(fraction == null ? heading : `${heading}, ${25 * Math.floor(4 * fraction)} %`);
  }

  lost() {
    this.find("p").textContent = "The server does not answer; still trying.";
  }
}

/** Follow a job until it has ended or the address names another. */
async function followJob(id) {
  const path = `/v1/jobs/${encodeURIComponent(id)}`;
  const current = () => location.hash === `#${id}`;
  let view = null;
  while (current()) {
    try {
      const job = await api(path);
      if (!current()) return;
      if (!["accepted", "running"].includes(job.state)) return await showEnd(path, job);
      view ??= new ProgressView(() => api(`${path}/cancel`, "POST").catch(() => {}));
      view.update(job.name, job.progress, job.queue_position);
    } catch (error) {
      if (!current()) return;
      if (!(error instanceof ApiError)) throw error;
      if ([404, 422].includes(error.status)) {
        return showMessage("This job is no longer here", "Its time is over, or it was deleted. Upload the video again.");
      }
      if (error.code !== "offline") return showError(error);
      view ??= new ProgressView(() => {});
      view.lost();
    }
    await sleep(POLL_MS);
  }
}

async function showEnd(path, job) {
  if (job.state === "failed") return showError(job.error);
  if (job.state === "cancelled") return showMessage("Cancelled", `${job.name} was not segmented.`);
  const files = job.results;
  const summary = await api(files["summary.json"]);
  const frames = files["masks.json"] ? await api(`${path}/frames`) : null;
  const waveform = files["waveform.json"] ? await api(files["waveform.json"]) : null;
  new ResultView(path, job, { summary, frames, waveform });
}

/** The result of a job; player, mask, slider and timeline show the same moment. */
class ResultView {
  constructor(path, job, { summary, frames, waveform }) {
    Object.assign(this, { path, job, summary, frames });
    this.end = Math.max(summary.video.duration, frames?.times.at(-1) ?? 0, 0.001);
    this.find = show("result");
    this.shown = -1;
    this.describe();
    this.setUpPlayer();
    this.setUpFrames();
    this.timeline = new Timeline(this.find(".timeline"), { end: this.end, spans: summary.spans, frames, waveform });
    this.timeline.onseek = (time) => this.seek(time);
    this.listFiles();
    this.seek(summary.spans[0]?.start ?? 0);
    announce(this.find("h2").textContent);
    focusView(this.find("h2"));
  }

  describe() {
    const { frames, marked_frames: marked, spans, seconds: took, frames_per_second: speed, model } = this.summary;
    this.find("h2").textContent = marked ? `Found in ${this.job.name}` : `No sounding object found in ${this.job.name}`;
    this.find(".facts").textContent =
      `${marked} of ${count(frames, "frame")} marked · ${took.toFixed(1)} s, ${speed.toFixed(1)} frames per second · ${model.name}`;
    this.find(".warnings").append(...this.job.warnings.map((text) => element("p", { textContent: explain(text) })));
    this.find(".spans").hidden = !spans.length;
    for (const { start, end } of spans.slice(0, 12)) {
      const chip = element("button", { type: "button", textContent: `${seconds(start)} to ${seconds(end)}`, title: "Play from here" });
      chip.onclick = () => {
        this.seek(start);
        this.video?.play();
      };
      this.find(".spans").append(chip);
    }
    if (spans.length > 12) this.find(".spans").append(element("span", { className: "soft", textContent: `and ${spans.length - 12} more` }));
  }

  setUpPlayer() {
    const source = this.job.results["overlay.mp4"];
    if (!source) return this.find(".overlay").remove();
    this.video = this.find("video");
    this.video.src = source;
    this.video.onseeked = () => this.moveTo(this.video.currentTime);
    this.video.onplay = () => {
      const step = () => {
        if (!this.video.isConnected || this.video.paused) return;
        this.moveTo(this.video.currentTime);
        requestAnimationFrame(step);
      };
      step();
    };
  }

  setUpFrames() {
    if (!this.frames) {
      this.find(".mask").remove();
      this.find(".scrub").remove();
      return;
    }
    this.slider = this.find("#frame");
    this.slider.max = this.frames.indices.length - 1;
    this.slider.oninput = () => {
      this.video?.pause();
      this.seek(this.frames.times[this.slider.value]);
    };
  }

  listFiles() {
    const stem = this.job.name.replace(/\.[^.]*$/, "");
    const links = Object.entries(this.job.results).map(([name, href]) => {
      const className = name === "overlay.mp4" ? "button primary" : "button";
      return element("a", { className, href, download: `${stem}-${name}`, textContent: FILES[name] ?? name });
    });
    this.find(".files").append(...links.map((link) => element("li", {}, link)));
    const until = new Date(1000 * this.job.expires).toLocaleString([], { dateStyle: "medium", timeStyle: "short" });
    this.find(".keep span").textContent = `Kept until ${until}`;
    this.find(".keep button").onclick = () => this.delete();
    for (const button of this.find(".repeat").querySelectorAll("button")) button.onclick = () => this.copy(button.dataset.code);
    this.find(".repeat pre").textContent = asCurl(this.job);
  }

  /** Show what repeats this job, and copy it where the browser allows that (https, or this machine). */
  async copy(language) {
    const shown = this.find(".repeat pre");
    shown.textContent = language === "curl" ? asCurl(this.job) : asPython(this.job);
    const copied = await navigator.clipboard?.writeText(shown.textContent).then(() => true, () => false);
    if (!copied) getSelection().selectAllChildren(shown);
    this.find(".repeat [role=status]").textContent = copied ? "Copied." : "Selected: press Ctrl+C to copy.";
  }

  async delete() {
    const dialog = $("confirm");
    $("confirm-text").textContent = `The files of ${this.job.name} are removed from the server. This cannot be undone.`;
    dialog.returnValue = "keep";
    dialog.showModal();
    await new Promise((resolve) => dialog.addEventListener("close", resolve, { once: true }));
    if (dialog.returnValue !== "delete") return;
    try {
      await api(this.path, "DELETE");
    } catch (error) {
      if (error.status !== 404) return showError(error);
    }
    history.replaceState(null, "", "/");
    showMessage("Deleted", `The results of ${this.job.name} were removed from the server.`);
  }

  seek(time) {
    this.moveTo(time);
    if (this.video) this.video.currentTime = time + 1e-3;
  }

  moveTo(time) {
    this.timeline.moveTo(time);
    if (!this.frames) return;
    const i = lastAtMost(this.frames.times, time + 1e-4);
    if (i === this.shown) return;
    this.shown = i;
    const { indices, times, scores, areas } = this.frames;
    const facts = areas[i] ? `${percent(areas[i])} marked, score ${scores[i].toFixed(2)}` : "nothing marked";
    const text = `${i + 1} of ${indices.length} · ${seconds(times[i])} · ${facts}`;
    this.slider.value = i;
    this.slider.setAttribute("aria-valuetext", text.replaceAll(" ·", ","));
    this.find(".caption").textContent = text;
    this.loadMask();
  }

  /** Load one mask at a time: while one loads, only the newest request counts. */
  async loadMask() {
    if (this.loading) return;
    this.loading = true;
    const image = this.find(".mask img");
    for (let i = -1; i !== this.shown; ) {
      i = this.shown;
      image.src = `${this.path}/frames/${this.frames.indices[i]}.png`;
      await image.decode().catch(() => {});
    }
    this.loading = false;
  }
}

/** Sound and marked area over time, drawn as SVG in the page's colors. */
class Timeline {
  constructor(root, { end, spans, frames, waveform }) {
    Object.assign(this, { root, end, playhead: root.querySelector(".playhead"), axis: root.querySelector(".axis") });
    const bands = () => spans.map(({ start, end: until }) => {
      const x = this.x(start);
      return svg("rect", { class: "span", x, y: 0, width: this.x(until) - x, height: 100 });
    });
    const sound = soundPaths(waveform, (time) => this.x(time));
    if (sound.length) root.querySelector(".sound").append(this.panel(...bands(), ...sound));
    else root.querySelector(".sound .name").textContent = "No sound";
    if (frames) {
      const top = frames.areas.reduce((most, area) => Math.max(most, area), 0);
      root.querySelector(".area .name").textContent = top ? `Marked area, up to ${percent(top)} of the frame` : "Nothing marked";
      if (top) root.querySelector(".area").append(this.panel(...bands(), ...this.areaPaths(frames, top)));
    } else root.querySelector(".area").remove();
    const text = spans.slice(0, 12).map(({ start, end: until }) => `${seconds(start)} to ${seconds(until)}`).join(", ");
    root.setAttribute("aria-label", `Sound and marked area over ${seconds(end)}; ${text ? `marked: ${text}` : "nothing marked"}`);
    root.onclick = (event) => {
      const { left, width } = root.getBoundingClientRect();
      this.onseek(end * Math.min(1, Math.max(0, (event.clientX - left) / width)));
    };
    new ResizeObserver(() => this.drawAxis()).observe(root);
  }

  x(time) {
    return +((1000 * time) / this.end).toFixed(2);
  }

  panel(...shapes) {
    return svg("svg", { viewBox: "0 0 1000 100", preserveAspectRatio: "none", "aria-hidden": "true" }, ...shapes);
  }

  /** A frame is shown until the next one comes. */
  areaPaths({ times, areas }, top) {
    const y = (area) => (100 - (96 * area) / top).toFixed(2);
    const steps = times.map((time, i) => `L${this.x(time)},${y(areas[i])}H${this.x(times[i + 1] ?? this.end)}`).join("");
    const edge = steps.replace("L", "M");
    return [svg("path", { class: "fill", d: `M${this.x(times[0] ?? 0)},100${steps}V100Z` }), svg("path", { class: "edge", d: edge })];
  }

  drawAxis() {
    const maxTicks = Math.max(2, this.root.clientWidth / 80);
    const steps = [0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600];
    const step = steps.find((width) => this.end / width <= maxTicks) ?? 7200;
    const ticks = [];
    for (let i = 0; i * step < this.end * 0.97; i++) {
      const tick = element("span", { textContent: clock(i * step, this.end) });
      tick.style.left = `${(100 * i * step) / this.end}%`;
      ticks.push(tick);
    }
    this.axis.replaceChildren(...ticks);
  }

  moveTo(time) {
    this.playhead.style.left = `${100 * Math.min(1, time / this.end)}%`;
  }
}

/** Quote a text for a POSIX shell. */
const quoted = (text) => `'${String(text).replaceAll("'", "'\\''")}'`;

/** The request that made a job. */
function asCurl({ name, options, url }) {
  const fields = Object.entries(options).map(([key, value]) => ` \\\n  --form-string ${quoted(`${key}=${value}`)}`);
  const source = url ? `--form-string ${quoted(`url=${url}`)}` : `-F ${quoted(`file=@"${name.replaceAll(/[\\"]/g, "\\$&")}"`)}`;
  return `curl -sS -H "Authorization: Bearer $SAVE_AVS_TOKEN" \\\n  ${source}${fields.join("")} \\\n  ${quoted(`${location.origin}/v1/segment`)}`;
}

/** The call that does the same without the server. */
function asPython({ name, options, url }) {
  const { fps, model, threshold, smooth, objects, track, save } = options;
  const text = JSON.stringify; // also a literal of Python
  const values = [text(url ?? name), `model=${text(model)}`, `threshold=${threshold}`];
  if (fps !== "native") values.push(`fps=${fps}`);
  if (smooth) values.push(`smooth=${smooth}`);
  if (track || objects) values.push(track ? "track=True" : "objects=True");
  values.push(`outputs=(${save.map((word) => text(word)).join(", ")}${save.length === 1 ? "," : ""})`, 'directory="results"');
  return `import save_avs\n\nresult = save_avs.segment(\n    ${values.join(",\n    ")},\n)\nprint(result)`;
}

function soundPaths(waveform, x) {
  if (!waveform?.times.length) return [];
  const { times, low, high } = waveform;
  const peak = Math.max(...high, ...low.map(Math.abs), 1e-6); // at most a few thousand points
  const point = (values) => (time, i) => `${x(time)},${(50 - (48 * values[i]) / peak).toFixed(2)}`;
  const outline = [...times.map(point(high)), ...times.map(point(low)).reverse()];
  return [svg("path", { class: "wave", d: `M${outline.join("L")}Z` })];
}

function clock(time, end) {
  if (end <= 120) return `${+time.toFixed(1)} s`;
  return `${Math.floor(time / 60)}:${String(Math.round(time % 60)).padStart(2, "0")}`;
}

/** Index of the last of some ascending times that is at most `time`; 0 when none is. */
function lastAtMost(times, time) {
  let low = 0;
  for (let high = times.length - 1; low < high; ) {
    const middle = (low + high + 1) >> 1;
    if (times[middle] <= time) low = middle;
    else high = middle - 1;
  }
  return low;
}

/** A warning of the program, with what it means for the result. */
const explain = (text) => (text.endsWith("has no sound") ? `${text}: nothing in it can be marked, so all masks are empty.` : text);

// --- The form ----------------------------------------------------------------------------------------------

let videos = []; // the chosen Files
let limits = { size: Infinity };

function formError(text = "") {
  $("form-error").hidden = !text;
  $("form-error").textContent = text;
}

function choose(files) {
  const large = files.filter((file) => file.size > limits.size).map((file) => file.name);
  formError(large.length ? `${large.join(", ")} ${large.length > 1 ? "are" : "is"} larger than ${limits.size / 1e6} MB, the limit of this server.` : "");
  videos = files.filter((file) => file.size <= limits.size);
  URL.revokeObjectURL($("preview").src);
  $("preview").hidden = videos.length !== 1;
  if (videos.length === 1) $("preview").src = URL.createObjectURL(videos[0]);
  const size = `${(videos.reduce((sum, file) => sum + file.size, 0) / 1e6).toFixed(1)} MB`;
  $("chosen").textContent = { 0: "Drop videos here, or", 1: `${videos[0]?.name}, ${size}` }[videos.length] ?? `${videos.length} videos, ${size}`;
  document.querySelector("label[for=file]").textContent = videos.length ? "Choose others" : "Choose videos";
}

function formOf(video) {
  const form = new FormData();
  const save = $("matte").checked ? [...SAVE, "matte"] : SAVE;
  const fields = { model: $("model").value, fps: $("fps").value, threshold: $("threshold").value, smooth: $("smooth").value, save: save.join(",") };
  if ($("objects").value) fields[$("objects").value] = "true";
  for (const [name, value] of Object.entries(fields)) form.append(name, value);
  form.append("file", video, video.name);
  return form;
}

async function submit(event) {
  event.preventDefault();
  if (!videos.length) return formError("Choose, drop or record a video first, or use the sample.");
  formError();
  history.replaceState(null, "", "/");
  $("submit").disabled = true;
  await (videos.length === 1 ? submitOne(videos[0]) : submitAll(videos));
  $("submit").disabled = false;
}

async function submitOne(video) {
  const name = video.name;
  const abort = new AbortController();
  const view = new ProgressView(() => abort.abort());
  view.update(name, { phase: "uploading", fraction: 0 });
  try {
    const job = await upload(formOf(video), { signal: abort.signal, onProgress: (fraction) => view.update(name, { phase: "uploading", fraction }) });
    if (job) location.hash = job.id;
    else showMessage("Cancelled", `${name} was not uploaded.`);
  } catch (error) {
    showError(error);
  }
}

/** Upload one video after another; a list shows the state of each, and links to it. */
async function submitAll(chosen) {
  $("queue").hidden = false;
  const forms = chosen.map((video) => ({ form: formOf(video), entry: new QueueEntry(video.name) }));
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
    for (let ended = false; !ended; await sleep(3 * POLL_MS)) {
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

/** Record from the camera and the microphone; the recording becomes the chosen video. */
async function record() {
  const dialog = $("recorder");
  const [problem, preview] = [dialog.querySelector(".error"), dialog.querySelector("video")];
  const toggle = dialog.querySelector("[data-do=toggle]");
  let stream = null;
  let recorder = null;
  dialog.onclose = () => {
    recorder?.state === "recording" && recorder.stop();
    stream?.getTracks().forEach((track) => track.stop());
    preview.srcObject = null;
  };
  dialog.querySelector("[data-do=close]").onclick = () => dialog.close();
  toggle.textContent = "Start recording";
  toggle.disabled = true;
  problem.hidden = true;
  dialog.showModal();
  try {
    stream = await navigator.mediaDevices.getUserMedia({ video: true, audio: true });
  } catch (error) {
    problem.textContent = error.name === "NotAllowedError" ? "The browser was not allowed to use the camera and the microphone." : "No camera with a microphone was found.";
    problem.hidden = false;
    return;
  }
  if (!dialog.open) return stream.getTracks().forEach((track) => track.stop());
  preview.srcObject = stream;
  await preview.play();
  toggle.disabled = false;
  toggle.onclick = () => {
    if (recorder) return dialog.close();
    const parts = [];
    recorder = new MediaRecorder(stream);
    recorder.ondataavailable = ({ data }) => parts.push(data);
    recorder.onstop = () => {
      const type = recorder.mimeType.split(";")[0];
      choose([new File(parts, type.includes("mp4") ? "recording.mp4" : "recording.webm", { type })]);
    };
    recorder.start();
    toggle.textContent = "Stop and use";
  };
}

async function useSample() {
  const response = await fetch("/static/sample.mp4").catch(() => null);
  if (!response?.ok) return formError("The sample could not be loaded: the server does not answer.");
  choose([new File([await response.blob()], "sample.mp4", { type: "video/mp4" })]);
}

function setUpForm({ models, limits: given }) {
  limits = given;
  $("model").append(...models.map(({ name }) => element("option", { textContent: name })));
  $("model").onchange = () => {
    const { image_size: size, device, precision, runtime } = models[$("model").selectedIndex];
    $("model-facts").textContent = `Sees ${size} × ${size} pixels; runs on ${device}, ${precision}, ${runtime}.`;
  };
  $("model").onchange();
  const minutes = given.duration >= 120 ? `${+(given.duration / 60).toFixed(1)} min` : `${given.duration} s`;
  const hours = given.keep >= 3600 ? count(+(given.keep / 3600).toFixed(1), "hour") : count(Math.round(given.keep / 60), "minute");
  $("limits").textContent =
    `Up to ${minutes}, ${given.size / 1e6} MB, ${given.side} pixels per side. ` +
    `A video is deleted as soon as its job has ended, its results after ${hours}.`;
}

function start() {
  $("form").onsubmit = submit;
  $("file").onchange = () => $("file").files[0] && choose([...$("file").files]);
  $("sample").onclick = useSample;
  $("record").hidden = !navigator.mediaDevices?.getUserMedia || !window.MediaRecorder;
  $("record").onclick = record;
  $("preview").onerror = () => {
    if (videos.length === 1) $("chosen").textContent = `${videos[0].name}: this browser cannot play it, but it can be segmented.`;
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
  addEventListener("hashchange", route);
  route();
  api("/v1/models").then(setUpForm, showError);
}

function route() {
  const id = location.hash.slice(1);
  if (id) followJob(id);
  else show("start");
}

start();
