/* A recording from a file or from the microphone: the fields for it, and what came of them. */

import { byId, check, checkedValue } from "./dom.js";
import { explainMicrophone } from "./notice.js";
import { Recorder } from "./recorder.js";

export class Take {
  /**
   * Fill `<div id="{name}-take">` with the fields; their ids begin with the name, too. `onChange` is called when there
   * is another recording, `onFailure(id, {title, text})` when the microphone cannot be used.
   */
  constructor(name, onChange, onFailure) {
    Object.assign(this, { name, onChange, onFailure, blobs: { file: null, record: null }, recorder: null });
    const fields = byId("take-template").content.cloneNode(true);
    for (const part of fields.querySelectorAll("[data-part]")) part.id = `${name}-${part.dataset.part}`;
    for (const label of fields.querySelectorAll("label[data-of]")) label.htmlFor = `${name}-${label.dataset.of}`;
    for (const input of fields.querySelectorAll("input[type=radio]")) {
      input.name = `${name}-source`;
      input.addEventListener("change", () => this.showSource());
    }
    byId(`${name}-take`).append(fields);
    this.part("file").addEventListener("change", ({ target }) => this.keep("file", target.files[0] ?? null));
    this.part("record").addEventListener("click", () => (this.recorder ? this.finish() : this.record()));
  }

  part(name) {
    return byId(`${this.name}-${name}`);
  }

  get source() {
    return checkedValue(`${this.name}-source`);
  }

  get blob() {
    return this.blobs[this.source];
  }

  /** The id of the field to go to when there is no recording. */
  get control() {
    return `${this.name}-${this.source}`;
  }

  showSource() {
    this.part("file-field").hidden = this.source !== "file";
    this.part("record-field").hidden = this.source !== "record";
    this.preview();
  }

  keep(source, blob) {
    this.blobs[source] = blob;
    this.preview();
  }

  preview() {
    const audio = this.part("preview");
    if (audio.src) URL.revokeObjectURL(audio.src);
    audio.hidden = !this.blob;
    if (this.blob) audio.src = URL.createObjectURL(this.blob);
    else audio.removeAttribute("src");
    this.onChange();
  }

  async record() {
    const recorder = (this.recorder = new Recorder());
    try {
      await recorder.start((level, seconds) => {
        this.part("level").value = level;
        this.part("time").textContent = `${seconds.toFixed(1)} s`;
      }, () => this.finish());
      this.part("record").textContent = "Stop";
      this.part("record").classList.add("busy");
    } catch (error) {
      this.abandon();
      this.onFailure(this.control, { title: "Cannot record", text: explainMicrophone(error) });
    }
  }

  /** End a recording that runs. */
  async finish() {
    const recorder = this.recorder;
    if (!recorder?.recorder) return;
    this.quiet();
    this.keep("record", await recorder.stop());
  }

  abandon() {
    this.recorder?.release();
    this.quiet();
  }

  quiet() {
    this.recorder = null;
    this.part("record").textContent = "Record";
    this.part("record").classList.remove("busy");
    this.part("level").value = 0;
  }

  clear() {
    this.blobs = { file: null, record: null };
    check(`${this.name}-source`, "file");
    this.part("file").value = "";
    this.part("time").textContent = "0.0 s";
    this.showSource();
  }
}
