/* What a voice sounds like: its sample, asked of the server once, and kept by the browser. One is heard at a time. */

import { sampleOf } from "./api.js";
import { h, playIcon } from "./dom.js";

export class Sampler {
  /** `onPlay` is called before one is heard, `onFailure` with what failed. */
  constructor(onPlay, onFailure) {
    Object.assign(this, { onPlay, onFailure, context: null, heard: null });
    this.files = new Map();
  }

  /** The button that plays a voice. */
  button(voice) {
    const button = h("button", { type: "button", className: "round tiny", title: "Hear it", onclick: () => this.toggle(voice, button) }, playIcon());
    label(button, voice, "Hear");
    return button;
  }

  async toggle(voice, button) {
    const again = this.heard?.button === button;
    this.stop();
    if (again) return;
    this.onPlay();
    this.context ??= new AudioContext();
    this.context.resume();
    const heard = (this.heard = { voice, button, source: null });
    button.classList.add("playing");
    label(button, voice, "Stop");
    try {
      const buffer = await this.context.decodeAudioData(await this.file(voice));
      if (this.heard !== heard) return;
      heard.source = new AudioBufferSourceNode(this.context, { buffer });
      heard.source.connect(this.context.destination);
      heard.source.onended = () => this.heard === heard && this.stop();
      heard.source.start();
    } catch (error) {
      if (this.heard === heard) this.stop();
      this.onFailure(error);
    }
  }

  /** A copy of the sample's bytes: decoding takes them away. */
  async file({ name, version = 0 }) {
    const key = `${name} ${version}`;
    if (!this.files.has(key)) this.files.set(key, await sampleOf(name));
    return this.files.get(key).slice(0);
  }

  stop() {
    const { heard } = this;
    if (!heard) return;
    this.heard = null;
    heard.source?.stop();
    heard.button.classList.remove("playing");
    label(heard.button, heard.voice, "Hear");
  }
}

function label(button, { title }, verb) {
  button.setAttribute("aria-label", `${verb} ${title}`);
}
