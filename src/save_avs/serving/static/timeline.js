// The timeline of a result: waveform and marked area.

import { element, percent, seconds, svg } from "./view.js";

/** Sound and marked area over time, drawn as SVG in the page's colors. */
export class Timeline {
  constructor(root, { end, spans, frames, waveform, threshold }) {
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
      root.querySelector(".area .name").textContent = top ? `Marked area at ${threshold.toFixed(2)}, up to ${percent(top)}` : "Nothing marked";
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
