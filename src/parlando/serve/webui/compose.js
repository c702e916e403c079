/* What is written and recorded: a text, a dialogue, or a recording to be said in another voice; and the draft of it. */

import { byId, check, checkedValue, recall, remember } from "./dom.js";
import { Take } from "./take.js";

export class Compose {
  /** `onFailure(id, what)` is called when the microphone cannot be used. */
  constructor(voices, dialogue, onFailure) {
    Object.assign(this, { voices, dialogue, draft: recall("draft", {}) });
    this.take = new Take("convert", () => {}, onFailure);
    byId("text").addEventListener("input", () => this.keep());
    for (const input of document.querySelectorAll('input[name="mode"]')) {
      input.addEventListener("change", () => {
        this.showMode();
        this.keep();
      });
    }
  }

  get mode() {
    return checkedValue("mode");
  }

  showMode() {
    const { mode } = this;
    for (const name of ["text", "dialogue", "recording"]) byId(`${name}-mode`).hidden = mode !== name;
    byId("voice-panel").hidden = byId("quick-voice-field").hidden = mode === "dialogue";
    byId("speaker-panel").hidden = mode !== "dialogue";
    byId("examples-row").hidden = mode === "recording" || !byId("examples").children.length;
    if (!byId("speak").classList.contains("busy")) byId("speak").textContent = this.verb;
  }

  /** What the button does. */
  get verb() {
    return this.mode === "recording" ? "Convert" : "Speak";
  }

  /** Recordings are offered where the model can convert them. */
  allowRecordings(allowed) {
    byId("recording-choice").hidden = !allowed;
    if (!allowed && this.mode === "recording") this.fillIn({ ...this.draft, mode: "text" });
  }

  keep() {
    this.draft = { mode: this.mode, text: byId("text").value, voice: this.voices.chosen || this.draft.voice, ...this.dialogue.state };
    remember("draft", this.draft);
  }

  fillIn({ mode = "text", text = "", voice, ...rest }) {
    check("mode", mode);
    byId("text").value = text;
    if (rest.lines) this.dialogue.load(rest);
    this.dialogue.offer(this.voices.all);
    if (this.voices.all.some(({ name }) => name === voice)) this.voices.choose(voice);
    this.showMode();
  }

  /** Take an example in place of what is written. */
  try({ text, speakers, lines }) {
    check("mode", lines ? "dialogue" : "text");
    if (lines) this.dialogue.write(speakers, lines);
    else byId("text").value = text;
    this.showMode();
    this.keep();
    byId("speak").focus();
  }

  focus() {
    if (this.mode === "text") byId("text").focus();
    else if (this.mode === "dialogue") this.dialogue.focus();
    else byId(this.take.control).focus();
  }

  /** What is to be said: the lines for the server, and the words and voices for people. */
  script() {
    const { mode, dialogue, voices } = this;
    if (mode === "dialogue") {
      const lines = dialogue.script().map((line) => ({ ...line, name: dialogue.speakers[dialogue.lines[line.row].speaker].name }));
      return { lines, said: lines.map(({ name, text }) => `${name}: ${text}`).join(" ") };
    }
    const line = { voice: voices.chosen, owner: 1, row: null };
    if (mode === "recording") {
      const { blob } = this.take;
      return { lines: blob ? [{ ...line, text: "", recording: blob }] : [], said: blob?.name ?? "A recording" };
    }
    const text = byId("text").value.trim();
    return { lines: text ? [{ ...line, text }] : [], said: text };
  }
}
