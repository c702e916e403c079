/* Waveform above, spectrogram below, on one canvas that fills up from the left while the sound is made. */

import { BANDS, Columns, HOP } from "./spectrum.js";

const WAVE_SHARE = 0.34;
const FIRST_SPAN_SECONDS = 4;
const GAP = 8;
const AXIS = 20; // room for the seconds
const STEPS_SECONDS = [0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600];
const LABEL_PIXELS = 72;

export class Picture {
  constructor(canvas) {
    this.canvas = canvas;
    this.context = canvas.getContext("2d");
    this.columns = null;
    this.position = 0;
    this.drawn = null;
    this.layer = document.createElement("canvas");
    new ResizeObserver(() => this.resize()).observe(canvas);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.recolour());
    this.recolour();
  }

  /** Show a clip, or nothing. */
  show(clip) {
    this.columns = clip && new Columns(clip);
    this.position = 0;
    this.invalidate();
  }

  /** How many seconds the width stands for: the clip, or what it may become. */
  get span() {
    const clip = this.columns?.clip;
    if (!clip) return FIRST_SPAN_SECONDS;
    if (clip.complete) return Math.max(clip.seconds, 0.25);
    let span = FIRST_SPAN_SECONDS;
    while (span < clip.seconds * 1.05) span *= 1.5;
    return span;
  }

  /** Draw what has come since, and the place that is heard. */
  update(position) {
    this.position = position;
    const settled = this.columns ? this.columns.grow() : true;
    this.draw();
    return settled;
  }

  /** Where in the clip a place on the canvas is, in samples. */
  sampleAt(x) {
    const clip = this.columns?.clip;
    if (!clip) return 0;
    const share = Math.max(0, Math.min(1, x / this.canvas.clientWidth));
    return Math.min(clip.length, Math.round(share * this.span * clip.rate));
  }

  recolour() {
    const probe = document.createElement("span");
    probe.hidden = true;
    document.body.append(probe);
    const read = (name) => {
      probe.style.color = `var(${name})`;
      return getComputedStyle(probe).color;
    };
    this.colours = { paper: read("--paper"), ink: read("--ink"), edge: read("--rule"), soft: read("--soft"), head: read("--alarm") };
    this.owners = [1, 2, 3, 4, 5, 6].map((owner) => read(`--speaker-${owner}`));
    this.ramp = ramp([this.colours.paper, read("--speaker-1"), this.colours.ink]);
    probe.remove();
    this.invalidate();
  }

  resize() {
    const scale = Math.min(devicePixelRatio || 1, 2);
    this.canvas.width = Math.max(1, Math.round(this.canvas.clientWidth * scale));
    this.canvas.height = Math.max(1, Math.round(this.canvas.clientHeight * scale));
    this.scale = scale;
    this.invalidate();
  }

  invalidate() {
    this.drawn = null;
    this.draw();
  }

  draw() {
    const { canvas, context } = this;
    if (!this.scale) return;
    this.paintNew();
    context.clearRect(0, 0, canvas.width, canvas.height);
    context.drawImage(this.layer, 0, 0);
    if (this.columns && this.position > 0) {
      const x = (this.position / this.columns.clip.rate / this.span) * canvas.width;
      context.fillStyle = this.colours.head;
      context.fillRect(Math.round(x) - this.scale / 2, 0, 1.5 * this.scale, canvas.height - AXIS * this.scale);
    }
  }

  /** Bring the layer up to date: only what is new, unless the time scale has changed. */
  paintNew() {
    const { canvas, layer } = this;
    const span = this.span;
    if (!this.drawn || this.drawn.span !== span) {
      layer.width = canvas.width;
      layer.height = canvas.height;
      this.drawn = { span, x: 0 };
      this.paintAxis(layer.getContext("2d"));
    }
    if (!this.columns) return;
    const { rate, complete } = this.columns.clip;
    const perPixel = (span * rate) / HOP / canvas.width;
    const whole = this.columns.count / perPixel;
    const end = Math.min(canvas.width, complete && this.columns.count >= this.columns.available ? Math.ceil(whole) : Math.floor(whole));
    if (end > this.drawn.x) this.paint(layer.getContext("2d"), this.drawn.x, end, perPixel);
    this.drawn.x = Math.max(this.drawn.x, end);
  }

  /** The line of silence, and seconds along the bottom. */
  paintAxis(context) {
    const { width, height } = this.canvas;
    if (!this.columns) return;
    context.fillStyle = this.colours.edge;
    context.fillRect(0, Math.round(this.waveHeight / 2), width, Math.max(1, this.scale / 2));
    const perSecond = width / this.span;
    const step = STEPS_SECONDS.find((seconds) => seconds * perSecond >= LABEL_PIXELS * this.scale) ?? STEPS_SECONDS.at(-1);
    context.font = `${11 * this.scale}px ${getComputedStyle(this.canvas).fontFamily}`;
    context.textBaseline = "bottom";
    for (let tick = 1; tick * step < this.span; tick++) {
      const x = Math.round(tick * step * perSecond);
      context.fillStyle = this.colours.soft;
      context.fillRect(x, height - AXIS * this.scale, this.scale, 4 * this.scale);
      context.textAlign = x > width - 20 * this.scale ? "right" : "center";
      context.fillText(`${+(tick * step).toFixed(1)} s`, x, height);
    }
  }

  get waveHeight() {
    return Math.round(this.canvas.height * WAVE_SHARE);
  }

  paint(context, from, to, perPixel) {
    const height = this.canvas.height - AXIS * this.scale;
    const top = this.waveHeight + GAP * this.scale;
    const image = new ImageData(to - from, BANDS);
    const pixels = new Uint32Array(image.data.buffer);
    for (let x = from; x < to; x++) {
      const first = Math.min(this.columns.count - 1, Math.floor(x * perPixel));
      const last = Math.max(first + 1, Math.min(this.columns.count, Math.floor((x + 1) * perPixel)));
      this.paintPeak(context, x, first, last);
      for (let band = 0; band < BANDS; band++) {
        let level = 0;
        for (let column = first; column < last; column++) {
          level = Math.max(level, this.columns.levels[column * BANDS + band]);
        }
        pixels[(BANDS - 1 - band) * (to - from) + x - from] = this.ramp[level];
      }
    }
    const strip = document.createElement("canvas");
    strip.width = to - from;
    strip.height = BANDS;
    strip.getContext("2d").putImageData(image, 0, 0);
    context.imageSmoothingEnabled = true;
    context.drawImage(strip, from, top, to - from, height - top);
  }

  paintPeak(context, x, first, last) {
    let peak = 0;
    for (let column = first; column < last; column++) peak = Math.max(peak, this.columns.peaks[column]);
    const turn = this.columns.clip.turns.findLast(({ start }) => start <= first * HOP);
    context.fillStyle = this.owners[(turn?.owner ?? 1) - 1];
    const size = Math.max(this.scale, Math.min(1, 1.5 * peak ** 0.75) * this.waveHeight * 0.96);
    context.fillRect(x, (this.waveHeight - size) / 2, 1, size);
  }
}

/** 256 packed colours from the first over the second to the last. */
function ramp(colours) {
  const [low, middle, high] = colours.map(channels);
  return Uint32Array.from({ length: 256 }, (_, i) => {
    const share = (i / 255) ** 1.25;
    const [a, b, at] = share < 0.62 ? [low, middle, share / 0.62] : [middle, high, (share - 0.62) / 0.38];
    const [red, green, blue] = a.map((value, c) => Math.round(value + (b[c] - value) * at));
    return (255 << 24) | (blue << 16) | (green << 8) | red;
  });
}

function channels(colour) {
  return colour.match(/[\d.]+/g).slice(0, 3).map(Number);
}
