/* A mono sound that may still be growing, and its files. */

import { encode } from "./api.js";

export class Clip {
  constructor(rate) {
    this.rate = rate;
    this.length = 0;
    this.complete = false;
    this.turns = []; // where each line of a dialogue begins: {start, owner}
    this.sentences = []; // as they are read, in samples: {line, text, start, end, words}; end is null while it is made
    this.store = new Float32Array(rate * 8);
  }

  static of(samples, rate) {
    const clip = new Clip(rate);
    clip.append(samples);
    clip.complete = true;
    return clip;
  }

  get seconds() {
    return this.length / this.rate;
  }

  append(samples) {
    if (this.length + samples.length > this.store.length) {
      const larger = new Float32Array(2 * (this.length + samples.length));
      larger.set(this.store.subarray(0, this.length));
      this.store = larger;
    }
    this.store.set(samples, this.length);
    this.length += samples.length;
  }

  /** A view, not a copy. */
  part(start, end) {
    return this.store.subarray(start, Math.min(end, this.length));
  }
}

/** Floats as 16-bit samples; what the server sent comes back bit by bit. */
export function toInt16(samples) {
  const whole = new Int16Array(samples.length);
  for (let i = 0; i < samples.length; i++) {
    whole[i] = Math.max(-32768, Math.min(32767, Math.round(samples[i] * 32768)));
  }
  return whole;
}

export function toFloat32(whole) {
  const samples = new Float32Array(whole.length);
  for (let i = 0; i < whole.length; i++) samples[i] = whole[i] / 32768;
  return samples;
}

/** A mono WAV file of 16-bit samples. */
export function wavBlob(whole, rate) {
  const head = new DataView(new ArrayBuffer(44));
  const bytes = whole.length * 2;
  const put = (at, text) => [...text].forEach((letter, i) => head.setUint8(at + i, letter.charCodeAt(0)));
  put(0, "RIFF");
  head.setUint32(4, 36 + bytes, true);
  put(8, "WAVEfmt ");
  head.setUint32(16, 16, true);
  head.setUint16(20, 1, true);
  head.setUint16(22, 1, true);
  head.setUint32(24, rate, true);
  head.setUint32(28, rate * 2, true);
  head.setUint16(32, 2, true);
  head.setUint16(34, 16, true);
  put(36, "data");
  head.setUint32(40, bytes, true);
  return new Blob([head, whole], { type: "audio/wav" });
}

/** Make a file of 16-bit samples and hand it to the browser's downloads; all but WAV is made by the server. */
export async function saveFile(whole, rate, said, format) {
  download(format === "wav" ? wavBlob(whole, rate) : await encode(whole, rate, format), fileName(said, format));
}

function download(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

/** A file name from what is said. */
export function fileName(said, extension = "wav") {
  const words = said.normalize("NFKC").replace(/[^\p{L}\p{N}]+/gu, "-").replace(/^-+|-+$/g, "");
  return `${[...words].slice(0, 40).join("").toLowerCase() || "parlando"}.${extension}`;
}
