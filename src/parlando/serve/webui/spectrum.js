/* What a picture of sound is drawn from: peaks and mel-spaced levels, column by column, computed once each. */

const WINDOW = 1024;
export const HOP = 256;
export const BANDS = 88;
const LOWEST_HERTZ = 60;
const HIGHEST_HERTZ = 11_000;
const FLOOR_DECIBEL = -88;
const CEILING_DECIBEL = -22;

export class Columns {
  constructor(clip) {
    this.clip = clip;
    this.count = 0;
    this.peaks = new Float32Array(1024);
    this.levels = new Uint8Array(1024 * BANDS);
    this.window = Float32Array.from({ length: WINDOW }, (_, i) => 0.5 - 0.5 * Math.cos((2 * Math.PI * i) / WINDOW));
    this.edges = bandEdges(clip.rate);
    this.real = new Float32Array(WINDOW);
    this.imaginary = new Float32Array(WINDOW);
  }

  /** How many columns the clip has by now. */
  get available() {
    return Math.floor(this.clip.length / HOP);
  }

  /** Compute columns until there are no more or the time is over; whether all are there. */
  grow(milliseconds = 6) {
    const deadline = performance.now() + milliseconds;
    const available = this.available;
    while (this.count < available) {
      this.add(this.count * HOP);
      if (this.count % 16 === 0 && performance.now() > deadline) break;
    }
    return this.count >= available;
  }

  add(start) {
    if (this.count === this.peaks.length) this.enlarge();
    let peak = 0;
    for (const sample of this.clip.part(start, start + HOP)) peak = Math.max(peak, Math.abs(sample));
    this.peaks[this.count] = peak;
    // Centred; beyond the ends there is silence.
    const first = start + HOP / 2 - WINDOW / 2;
    const { store, length } = this.clip;
    for (let i = 0; i < WINDOW; i++) {
      const at = first + i;
      this.real[i] = at >= 0 && at < length ? store[at] * this.window[i] : 0;
    }
    this.imaginary.fill(0);
    transform(this.real, this.imaginary);
    for (let band = 0; band < BANDS; band++) this.levels[this.count * BANDS + band] = this.level(band);
    this.count += 1;
  }

  /** 0 to 255, of the loudest line in a band. */
  level(band) {
    let power = 0;
    for (let line = this.edges[band]; line < this.edges[band + 1]; line++) {
      power = Math.max(power, this.real[line] ** 2 + this.imaginary[line] ** 2);
    }
    const decibel = 10 * Math.log10(power / (WINDOW / 4) ** 2 + 1e-12);
    return Math.max(0, Math.min(255, (255 * (decibel - FLOOR_DECIBEL)) / (CEILING_DECIBEL - FLOOR_DECIBEL)));
  }

  enlarge() {
    const [peaks, levels] = [this.peaks, this.levels];
    this.peaks = new Float32Array(2 * peaks.length);
    this.levels = new Uint8Array(2 * levels.length);
    this.peaks.set(peaks);
    this.levels.set(levels);
  }
}

function bandEdges(rate) {
  const mel = (hertz) => Math.log1p(hertz / 700);
  const low = mel(LOWEST_HERTZ);
  const high = mel(Math.min(HIGHEST_HERTZ, rate / 2));
  const edges = [];
  for (let band = 0; band <= BANDS; band++) {
    const line = Math.round((700 * Math.expm1(low + ((high - low) * band) / BANDS) * WINDOW) / rate);
    edges.push(Math.max(line, band ? edges[band - 1] + 1 : 1));
  }
  return edges;
}

/** The discrete Fourier transform in place; the length is a power of two. */
export function transform(real, imaginary) {
  const n = real.length;
  for (let i = 1, j = 0; i < n; i++) {
    let bit = n >> 1;
    for (; j & bit; bit >>= 1) j ^= bit;
    j |= bit;
    if (i < j) {
      [real[i], real[j]] = [real[j], real[i]];
      [imaginary[i], imaginary[j]] = [imaginary[j], imaginary[i]];
    }
  }
  for (let size = 2; size <= n; size *= 2) {
    const half = size / 2;
    for (let k = 0; k < half; k++) {
      const cosine = Math.cos((2 * Math.PI * k) / size);
      const sine = -Math.sin((2 * Math.PI * k) / size);
      for (let a = k; a < n; a += size) {
        const b = a + half;
        const x = real[b] * cosine - imaginary[b] * sine;
        const y = real[b] * sine + imaginary[b] * cosine;
        real[b] = real[a] - x;
        imaginary[b] = imaginary[a] - y;
        real[a] += x;
        imaginary[a] += y;
      }
    }
  }
}
