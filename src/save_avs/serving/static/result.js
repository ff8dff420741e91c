// The result of a job: player, mask, sliders, timeline, downloads.

import { api } from "./api.js";
import { asCurl, asPython } from "./repeat.js";
import { Adjuster } from "./threshold.js";
import { Timeline } from "./timeline.js";
import { $, announce, count, element, focusView, percent, seconds, show, showError, showMessage } from "./view.js";

const FILES = {
  "overlay.mp4": "Overlay video",
  "matte.mov": "Matte video (alpha)",
  "video.mp4": "Video without overlay",
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

/** The result of a job; player, mask, slider and timeline show the same moment. */
export class ResultView {
  constructor(path, job, { summary, frames, waveform, again }) {
    Object.assign(this, { path, job, summary, frames, again });
    this.end = Math.max(summary.video.duration, frames?.times.at(-1) ?? 0, 0.001);
    this.find = show("result");
    this.shown = -1;
    this.cut = null; // the threshold shown, where it is not the job's
    this.describe();
    this.setUpPlayer();
    this.setUpFrames();
    this.setUpThreshold();
    this.timeline = new Timeline(this.find(".timeline"), { end: this.end, spans: summary.spans, frames, waveform, threshold: this.threshold });
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
        this.video?.play().catch(() => {}); // a pause or another source may come first
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
    this.video.onseeked = this.video.onpause = () => this.moveTo(this.video.currentTime);
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

  /** Where the job kept its logits, the masks are drawn here for any threshold. */
  setUpThreshold() {
    const { threshold, save } = this.job.options;
    this.threshold = threshold;
    if (!this.frames || !save.includes("logits")) return this.find(".adjust").remove();
    this.adjuster = new Adjuster(this);
    this.find(".held").hidden = false;
    const slider = this.find("#cut");
    slider.value = threshold;
    const initial = slider.value; // a threshold beyond the slider's ends is shown at its end
    slider.oninput = () => this.adjust(slider.value === initial ? null : Number(slider.value));
    this.find("[data-do=reset]").onclick = () => {
      slider.value = initial;
      this.adjust(null);
      slider.focus();
    };
    this.find("[data-do=again]").onclick = () => this.again(this.job, this.cut);
    this.adjust(null);
  }

  /** Show the masks at another threshold, or, for null, at the job's. */
  adjust(cut) {
    this.cut = cut;
    const [own, shown] = [this.threshold.toFixed(2), (cut ?? this.threshold).toFixed(2)];
    this.find("#cut").setAttribute("aria-valuetext", cut === null ? `${own}, as in the files` : `${shown}; ${own} in the files`);
    this.find(".adjust output").textContent = shown;
    this.find(".held").textContent =
      cut === null
        ? `The files hold the masks at threshold ${own}, at which the video was segmented.`
        : `You see the masks at ${shown}; the files hold those at ${own}. For files at ${shown}, segment the video again.`;
    this.find("[data-do=again]").textContent = `Segment again at ${shown}`;
    for (const button of this.find(".adjust").querySelectorAll("button")) button.disabled = cut === null;
    this.adjuster.show(cut);
    this.repeat();
    this.draw();
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
    this.find(".repeat .hint").hidden = !this.job.frames;
    for (const button of this.find(".repeat").querySelectorAll("button")) button.onclick = () => this.copy(button.dataset.code);
    this.repeat();
  }

  /** Show what repeats this job, at the threshold that is shown. */
  repeat(language = this.language ?? "curl") {
    this.language = language;
    const job = { ...this.job, options: { ...this.job.options, threshold: this.cut ?? this.threshold } };
    this.find(".repeat pre").textContent = language === "curl" ? asCurl(job) : asPython(job);
  }

  /** Copy what repeats this job, where the browser allows that (https, or this machine). */
  async copy(language) {
    this.repeat(language);
    const shown = this.find(".repeat pre");
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
    this.slider.value = i;
    this.draw();
  }

  caption(area, score) {
    const i = this.shown;
    const facts = area ? `${percent(area)} marked${score == null ? "" : `, score ${score.toFixed(2)}`}` : "nothing marked";
    const text = `${i + 1} of ${this.frames.indices.length} · ${seconds(this.frames.times[i])} · ${facts}`;
    this.slider.setAttribute("aria-valuetext", text.replaceAll(" ·", ","));
    this.find(".scrub .caption").textContent = text;
  }

  /** Draw the mask that is to be shown; while one loads, only the newest request counts. */
  async draw() {
    this.stale = true;
    if (this.drawing || this.shown < 0) return;
    this.drawing = true;
    while (this.stale) {
      this.stale = false;
      const { areas, scores, indices } = this.frames;
      if (this.cut !== null) this.caption(await this.adjuster.draw(this.shown, this.cut));
      else {
        this.caption(areas[this.shown], scores[this.shown]);
        const image = this.find(".mask img");
        image.src = `${this.path}/frames/${indices[this.shown]}.png`;
        await image.decode().catch(() => {});
      }
    }
    this.drawing = false;
  }
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
