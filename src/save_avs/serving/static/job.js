// <save-avs-job job="ID" left="0.08" right="0.98">: a job of the REST service, from its queue to its results.
// left and right: where time begins and ends in timeline.png, as shares of its width.

const PHASES = {
  waiting: "Waiting for its turn",
  starting: "Starting",
  fetching: "Fetching the video",
  opening: "Opening the video",
  segmenting: "Finding what sounds",
  packing: "Packing the files",
};
const FILES = {
  "overlay.mp4": "Overlay video",
  "masks.json": "Masks (COCO JSON)",
  "masks.zip": "Masks (PNG, zip)",
  "timeline.png": "Timeline",
  "summary.json": "Summary",
};
const EVERY = 400; // milliseconds between two looks at a job

/** An element with its attributes and children. */
function make(tag, attributes = {}, ...children) {
  const element = Object.assign(document.createElement(tag), attributes);
  element.append(...children.filter((child) => child != null));
  return element;
}

const percent = (share) => `${(100 * share).toFixed(1)} %`;
const seconds = (time) => `${time.toFixed(2)} s`;
const sleep = (milliseconds) => new Promise((done) => setTimeout(done, milliseconds));

/** Ask the service; an error has the status of its answer, null when none came. */
async function ask(path, method = "GET") {
  const answer = await fetch(path, { method }).catch(() => null);
  if (!answer?.ok) throw Object.assign(new Error(`${method} ${path}`), { status: answer?.status ?? null });
  return answer.status === 204 ? null : answer.json();
}

class SaveAvsJob extends HTMLElement {
  static observedAttributes = ["job"];

  connectedCallback() {
    this.follow(this.getAttribute("job"));
  }

  attributeChangedCallback(_, before, now) {
    if (before && before !== now && this.isConnected) this.follow(now);
  }

  /** Look at the job until it ends, or until this element shows another. */
  async follow(id) {
    this.path = `/v1/jobs/${id}`;
    const path = this.path;
    const current = () => this.isConnected && this.path === path;
    history.replaceState(null, "", `#${id}`);
    while (current()) {
      try {
        const job = await ask(path);
        if (!current()) return;
        if (!["accepted", "running"].includes(job.state)) {
          await this.showEnd(job);
          return;
        }
        this.showProgress(job);
      } catch (error) {
        if (!current()) return;
        if (error.status === undefined) throw error;
        if (error.status) {
          this.showProblem("This job is no longer here", "Its time has come, or it was deleted. Send the video again.");
          return;
        }
        this.progress?.lost();
      }
      await sleep(EVERY);
    }
  }

  showProgress(job) {
    if (!this.progress?.card.isConnected) {
      this.progress = new ProgressView(() => ask(`${this.path}/cancel`, "POST").catch(() => {}));
      this.replaceChildren(this.progress.card);
    }
    this.progress.show(job);
  }

  async showEnd(job) {
    if (job.state === "failed") this.showProblem("This video could not be done", job.error.message);
    else if (job.state === "cancelled") this.showProblem("Cancelled", `${job.name} was not segmented.`);
    else await this.showResult(job);
  }

  showProblem(title, text) {
    const lines = [make("h2", { textContent: title }), make("p", { textContent: text })];
    this.replaceChildren(make("section", { className: "card problem", role: "alert" }, ...lines));
  }

  async showResult(job) {
    const files = job.results;
    const summary = await ask(files["summary.json"]);
    const frames = files["masks.json"] ? await ask(`${this.path}/frames`) : null;
    const view = new ResultView(this.path, job, { summary, frames, left: +this.getAttribute("left"), right: +this.getAttribute("right") });
    this.replaceChildren(...view.parts());
  }
}

/** How far a job is. */
class ProgressView {
  constructor(cancel) {
    this.heading = make("h2");
    this.bar = make("progress", { max: 1 });
    this.detail = make("p", { className: "soft" });
    const button = make("button", { type: "button", textContent: "Cancel", onclick: cancel });
    const row = make("div", { className: "row" }, button);
    this.card = make("section", { className: "card", ariaLive: "polite" }, this.heading, this.bar, this.detail, row);
  }

  show({ name, queue_position: before, progress: { phase, fraction, frames, rate, left } }) {
    this.heading.textContent = `${PHASES[phase] ?? phase}: ${name}`;
    if (fraction == null) this.bar.removeAttribute("value");
    else this.bar.value = fraction;
    const said = [];
    if (before != null) said.push(before ? `${before} before it` : "it is next");
    if (frames) said.push(`${frames} frames`, `${rate.toFixed(1)} a second`);
    if (left != null) said.push(`${Math.ceil(left)} s left`);
    this.detail.textContent = said.join(" · ");
  }

  lost() {
    this.detail.textContent = "The server does not answer; still trying.";
  }
}

/** The results of a job: all parts show the same moment. */
class ResultView {
  constructor(path, job, { summary, frames, left, right }) {
    Object.assign(this, { path, job, summary, frames, left, right });
    this.end = Math.max(summary.video.duration, frames?.times.at(-1) ?? 0, 0.001);
    this.shown = -1;
  }

  parts() {
    const top = make("section", { className: "card" }, ...this.heading(), this.stage(), this.scrubber());
    const rest = make("section", { className: "card" }, this.timeline(), this.downloads());
    this.goto(this.summary.spans[0]?.start ?? 0);
    return [top, rest];
  }

  heading() {
    const { frames, marked_frames: marked, spans, seconds: took, frames_per_second: rate } = this.summary;
    const title = marked ? `Found in ${this.job.name}` : `Nothing that sounds was found in ${this.job.name}`;
    const fact = `${marked} of ${frames} frames marked · ${took.toFixed(1)} s at ${rate.toFixed(1)} frames a second · ${this.summary.model.name}`;
    const chips = spans.slice(0, 12).map(({ start, end }) => {
      const chip = make("button", { type: "button", textContent: `${seconds(start)} to ${seconds(end)}`, title: "Play from here" });
      chip.onclick = () => this.play(start);
      return chip;
    });
    return [
      make("h2", { textContent: title }),
      make("p", { className: "soft", textContent: fact }),
      ...this.job.warnings.map((text) => make("p", { className: "warning", role: "status", textContent: explain(text) })),
      chips.length ? make("div", { className: "row spans" }, make("span", { className: "soft", textContent: "Sounds from" }), ...chips) : null,
    ];
  }

  stage() {
    if (this.job.results["overlay.mp4"]) {
      this.video = make("video", { src: this.job.results["overlay.mp4"], controls: true, preload: "auto", playsInline: true });
      this.video.onplay = () => this.follow();
      this.video.onseeked = () => this.moved();
    }
    this.mask = make("img", { alt: "The mask of this frame: white where something sounds" });
    const sides = [];
    if (this.video) sides.push(make("figure", {}, make("figcaption", { textContent: "Overlay, with its sound" }), this.video));
    if (this.frames) sides.push(make("figure", {}, make("figcaption", { textContent: "Mask of this frame" }), this.mask));
    return make("div", { className: "stage" }, ...sides);
  }

  scrubber() {
    if (!this.frames) return null;
    this.caption = make("span", { className: "soft" });
    this.slider = make("input", { type: "range", min: 0, max: this.frames.indices.length - 1, ariaLabel: "Frame" });
    this.slider.oninput = () => this.seek(+this.slider.value);
    return make("label", { className: "scrub" }, this.caption, this.slider);
  }

  timeline() {
    if (!this.job.results["timeline.png"]) return null;
    this.playhead = make("div", { className: "playhead" });
    const picture = make("img", { src: this.job.results["timeline.png"], alt: "Sound and marked area over time", draggable: false });
    const box = make("div", { className: "timeline", title: "Click to go there" }, picture, this.playhead);
    box.onclick = (event) => {
      const share = (event.clientX - box.getBoundingClientRect().left) / box.clientWidth;
      this.goto(this.end * Math.min(1, Math.max(0, (share - this.left) / (this.right - this.left))));
    };
    return box;
  }

  downloads() {
    const stem = this.job.name.replace(/\.[^.]*$/, "");
    const links = Object.entries(this.job.results).map(([name, href]) =>
      make("a", { className: name === "overlay.mp4" ? "file main" : "file", href, download: `${stem}-${name}`, textContent: FILES[name] ?? name }),
    );
    const until = new Date(1000 * this.job.expires).toLocaleString([], { dateStyle: "medium", timeStyle: "short" });
    const remove = make("button", { type: "button", textContent: "Delete now" });
    remove.onclick = async () => {
      await ask(this.path, "DELETE").catch(() => {});
      history.replaceState(null, "", "/");
      remove.closest("save-avs-job").showProblem("Deleted", "The results of this video are gone from the server.");
    };
    return make("div", { className: "row" }, ...links, make("div", { className: "soft end" }, `kept until ${until}`, remove));
  }

  /** The last frame that has come by a time. */
  frameAt(time) {
    const times = this.frames.times;
    let low = 0;
    for (let high = times.length - 1; low < high; ) {
      const middle = (low + high + 1) >> 1;
      if (times[middle] <= time + 1e-4) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  seek(i) {
    this.video?.pause();
    this.goto(this.frames.times[i]);
  }

  goto(time) {
    this.point(time);
    if (this.frames) this.showFrame(this.frameAt(time));
    if (this.video) this.video.currentTime = time + 1e-3;
  }

  play(time) {
    this.goto(time);
    this.video?.play();
  }

  follow() {
    const step = () => {
      if (!this.video.isConnected || this.video.paused) return;
      this.moved();
      requestAnimationFrame(step);
    };
    step();
  }

  moved() {
    this.point(this.video.currentTime);
    if (this.frames) this.showFrame(this.frameAt(this.video.currentTime));
  }

  showFrame(i) {
    if (i === this.shown) return;
    this.shown = i;
    const { indices, times, scores, areas } = this.frames;
    this.slider.value = i;
    const marked = areas[i] ? `${percent(areas[i])} marked, score ${scores[i].toFixed(2)}` : "nothing marked";
    this.caption.textContent = `Frame ${i + 1} of ${indices.length} · ${seconds(times[i])} · ${marked}`;
    this.loadMask();
  }

  /** One mask at a time: while one loads, only the latest wish counts. */
  async loadMask() {
    if (this.loading) return;
    this.loading = true;
    for (let i = -1; i !== this.shown; ) {
      i = this.shown;
      this.mask.src = `${this.path}/frames/${this.frames.indices[i]}.png`;
      await this.mask.decode().catch(() => {});
    }
    this.loading = false;
  }

  point(time) {
    if (this.playhead) this.playhead.style.left = `${100 * (this.left + (this.right - this.left) * Math.min(1, time / this.end))}%`;
  }
}

/** A warning of the program, with what it means for the results. */
function explain(text) {
  return text.endsWith("has no sound") ? `${text}: nothing in it can be marked, so all masks are empty.` : text;
}

customElements.define("save-avs-job", SaveAvsJob);
