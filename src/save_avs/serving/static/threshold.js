// Masks at any threshold, computed from the model's logits as the server computes them.

const MAX_WIDTH = 960; // of what is drawn, pixels
const KEPT = 96; // frames whose logits are in memory
const AHEAD = 8; // frames loaded before they are shown
const [BLACK, WHITE] = [0xff000000, 0xffffffff];
// The colors of the server's overlay, RGB.
const PALETTE = [[255, 112, 16], [0, 110, 255], [255, 0, 200], [0, 200, 60], [255, 225, 0], [0, 220, 230]];

/** The logits of a job's frames, as levels: 128 + 8 x logit. */
class Logits {
  constructor(path, indices) {
    Object.assign(this, { path, indices, frames: new Map() });
  }

  /** Promise the levels of a frame, and load the next ones. */
  at(position) {
    for (let next = position; next <= position + AHEAD && next < this.indices.length; next++) {
      if (!this.frames.has(next)) this.frames.set(next, this.load(this.indices[next]));
    }
    for (const old of this.frames.keys()) {
      if (this.frames.size <= KEPT) break;
      this.frames.delete(old);
    }
    return this.frames.get(position);
  }

  async load(index) {
    const image = new Image();
    image.src = `${this.path}/frames/${index}/logits.png`;
    await image.decode();
    const canvas = Object.assign(document.createElement("canvas"), { width: image.width, height: image.height });
    const context = canvas.getContext("2d", { willReadFrequently: true });
    context.drawImage(image, 0, 0);
    const { data } = context.getImageData(0, 0, image.width, image.height);
    return { side: image.width, levels: Uint8Array.from({ length: data.length / 4 }, (_, i) => data[4 * i]) };
  }
}

/** The two cells around each of `size` points over the first `used` of `side` cells, and the weight of the second. */
function neighbors(side, used, size) {
  return Array.from({ length: size }, (_, i) => {
    const at = Math.min(side - 1, Math.max(0, ((i + 0.5) * used) / size - 0.5));
    const low = Math.floor(at);
    return [low, Math.min(low + 1, side - 1), at - low];
  });
}

/** Upscale levels bilinearly and mark the pixels above the threshold: 1 byte per pixel, row by row. */
function markPixels({ side, levels }, { width, height, used }, threshold) {
  const limit = 128 + 8 * Math.log(threshold / (1 - threshold));
  const columns = neighbors(side, used[0] * side, width);
  const marked = new Uint8Array(width * height);
  neighbors(side, used[1] * side, height).forEach(([top, bottom, share], y) => {
    const row = Float32Array.from({ length: side }, (_, x) => levels[top * side + x] * (1 - share) + levels[bottom * side + x] * share);
    for (let x = 0; x < width; x++) {
      const [left, right, weight] = columns[x];
      if (row[left] * (1 - weight) + row[right] * weight > limit) marked[y * width + x] = 1;
    }
  });
  return marked;
}

const pixel = ([red, green, blue], alpha) => ((alpha << 24) | (blue << 16) | (green << 8) | red) >>> 0;
const brighter = (color) => color.map((value) => Math.round(value + 0.7 * (255 - value)));

/** The color of the palette that differs most from what the marked pixels show. */
function contrasting(video, { width, height }, marked) {
  const canvas = Object.assign(document.createElement("canvas"), { width, height });
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(video, 0, 0, width, height);
  const { data } = context.getImageData(0, 0, width, height);
  const mean = [0, 0, 0];
  const count = marked.reduce((sum, one, i) => {
    for (let channel = 0; one && channel < 3; channel++) mean[channel] += data[4 * i + channel];
    return sum + one;
  }, 0);
  const distance = (color) => Math.hypot(...color.map((value, channel) => value - mean[channel] / count));
  return PALETTE.reduce((best, color) => (distance(color) > distance(best) ? color : best));
}

/** Fill a canvas with a color for each pixel. */
function paint(canvas, { width, height }, colorAt) {
  const image = new ImageData(width, height);
  const pixels = new Uint32Array(image.data.buffer);
  for (let i = 0; i < pixels.length; i++) pixels[i] = colorAt(i);
  Object.assign(canvas, { width, height }); // clears it
  canvas.getContext("2d").putImageData(image, 0, 0);
}

/** Draws a result's masks at another threshold: over the video without overlay, and beside it. */
export class Adjuster {
  constructor({ path, job, frames, summary, find, video }) {
    const { width, height, sample_aspect_ratio: aspect } = summary.video;
    const [across, down] = aspect.split(":").map(Number);
    const scale = Math.min(1, MAX_WIDTH / width);
    const longer = summary.model.resize === "pad" ? Math.max(width, height) : null; // padded to a square
    this.size = {
      width: Math.round(width * scale),
      height: Math.round((height * scale * down) / across),
      used: [width / (longer ?? width), height / (longer ?? height)],
    };
    this.logits = new Logits(path, frames.indices);
    this.masks = [find(".mask img"), find(".mask canvas")];
    this.overlay = find(".overlay canvas");
    this.video = job.results["video.mp4"] ? video : null;
    this.sources = [job.results["overlay.mp4"], job.results["video.mp4"]];
    this.adjusted = false;
  }

  /** Switch between what the job made (null) and what is drawn here. */
  show(threshold) {
    const adjusted = threshold !== null;
    if (adjusted === this.adjusted) return;
    this.adjusted = adjusted;
    this.masks[0].hidden = adjusted;
    this.masks[1].hidden = !adjusted;
    if (this.video) this.play(this.sources[Number(adjusted)]);
  }

  /** Go on with the other video; what was to be seen stays until it is there. */
  play(source) {
    const { video, overlay, size } = this;
    const { currentTime, paused } = video;
    Object.assign(overlay, { width: size.width, height: size.height, hidden: false });
    overlay.getContext("2d").drawImage(video, 0, 0, size.width, size.height);
    this.switching = true;
    video.src = source;
    video.currentTime = currentTime;
    const done = () => {
      this.switching = false;
      overlay.hidden = !this.adjusted;
      this.repaint?.();
    };
    video.addEventListener("seeked", done, { once: true });
    if (!paused) video.play().catch(() => {}); // another threshold may change the source again
  }

  /** Draw the mask of a frame; return the marked share of it. */
  async draw(position, threshold) {
    const { size, overlay } = this;
    const marked = markPixels(await this.logits.at(position), size, threshold);
    const inside = (i) => marked[i - 1] && marked[i + 1] && marked[i - size.width] && marked[i + size.width];
    paint(this.masks[1], size, (i) => (marked[i] ? WHITE : BLACK));
    const area = marked.reduce((sum, one) => sum + one, 0) / marked.length;
    this.repaint = () => {
      if (!this.adjusted) return;
      if (area) this.color ??= contrasting(this.video, size, marked);
      const [tint, edge] = area ? [pixel(this.color, 128), pixel(brighter(this.color), 230)] : [];
      paint(overlay, size, (i) => marked[i] && (inside(i) ? tint : edge));
    };
    if (this.video && !this.switching) this.repaint();
    return area;
  }
}
