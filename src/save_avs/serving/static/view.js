// What all views share: elements, texts, messages, and the view of a running job.

const PHASES = {
  uploading: "Uploading",
  waiting: "Waiting in the queue",
  starting: "Starting",
  fetching: "Fetching",
  opening: "Opening",
  segmenting: "Finding sounding objects",
  masking: "Masking the object",
  packing: "Packing the files",
};

export const ERRORS = {
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
  unreadable: "This file cannot be read",
};

export const $ = (id) => document.getElementById(id);
export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
export const percent = (share) => `${(100 * share).toFixed(1)} %`;
export const seconds = (time) => `${time.toFixed(2)} s`;
export const count = (n, noun) => `${n} ${noun}${n === 1 ? "" : "s"}`;

/** Create an element with properties and children. */
export function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

/** Create an SVG element with attributes. */
export function svg(tag, attributes, ...children) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

/** Show a copy of a template in #view; returns the function that finds elements in it. */
export function show(name) {
  $("view").replaceChildren($(`${name}-view`).content.cloneNode(true));
  return (selector) => $("view").querySelector(selector);
}

/** Announce something to screen readers. */
export function announce(text) {
  if ($("status").textContent !== text) $("status").textContent = text;
}

/** Move the reader to the view, which is below the form on narrow screens. */
export function focusView(heading) {
  heading.focus({ preventScroll: true });
  if (matchMedia("(max-width: 56rem)").matches) $("view").scrollIntoView();
}

export function showMessage(title, text, { failed = false, login = false } = {}) {
  const find = show("message");
  find(".message").classList.toggle("failed", failed);
  find("h2").textContent = title;
  find("p").textContent = text;
  if (login) find(".row").append(element("a", { className: "button primary", href: `/login${location.hash}`, textContent: "Log in" }));
  announce(`${title}. ${text}`);
  focusView(find("h2"));
}

export const showError = (error) =>
  showMessage(ERRORS[error.code] ?? "Something went wrong", error.message, { failed: true, login: error.code === "no_token" });

export class ProgressView {
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
