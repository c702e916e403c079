/* Talks with the server over OpenAI's Realtime protocol: the microphone out, answers in, silence when talked over. */

import { byId, h, recall } from "./dom.js";

const RATE = 24000;
const KEY_PROTOCOL = "openai-insecure-api-key.";

/** Plays samples one piece after the other, and knows how much of them was heard. */
class Loudspeaker {
  constructor(context) {
    Object.assign(this, { context, end: 0, began: 0, sources: new Set() });
  }

  play(samples) {
    const buffer = new AudioBuffer({ length: samples.length, sampleRate: RATE });
    buffer.copyToChannel(Float32Array.from(samples, (sample) => sample / 32767), 0);
    const source = new AudioBufferSourceNode(this.context, { buffer });
    source.connect(this.context.destination);
    source.onended = () => this.sources.delete(source);
    this.sources.add(source);
    if (this.end < this.context.currentTime) this.began = this.end = this.context.currentTime;
    source.start(this.end);
    this.end += buffer.duration;
  }

  /** Be silent now; the milliseconds that were heard, or null if nothing was playing. */
  stop() {
    const playing = this.sources.size > 0;
    for (const source of this.sources) source.stop();
    this.sources.clear();
    const heard = Math.round(1000 * (this.context.currentTime - this.began));
    this.end = 0;
    return playing ? heard : null;
  }
}

class Talk {
  constructor() {
    Object.assign(this, { socket: null, stream: null, answer: null, lines: new Map() });
  }

  async open() {
    if (this.socket) return;
    this.context = new AudioContext({ sampleRate: RATE });
    this.loudspeaker = new Loudspeaker(this.context);
    const address = new URL("v1/realtime", location.href);
    address.protocol = location.protocol.replace("http", "ws");
    const key = recall("key", "", "sessionStorage");
    this.socket = new WebSocket(address, ["realtime", ...(key ? [KEY_PROTOCOL + key] : [])]);
    this.socket.onmessage = ({ data }) => this.hear(JSON.parse(data));
    this.socket.onclose = () => this.close("Not connected");
    await new Promise((resolve, reject) => {
      this.socket.onopen = resolve;
      this.socket.onerror = () => reject(new Error("The server did not answer, or wants a key: set it on the first page"));
    });
    const input = { transcription: { model: "parlando" } };
    this.send({ type: "session.update", session: { type: "realtime", audio: { input } } });
    tell("Connected");
  }

  async listen() {
    await this.open();
    const audio = { echoCancellation: true, noiseSuppression: true, channelCount: 1 };
    this.stream = await navigator.mediaDevices.getUserMedia({ audio });
    await this.context.audioWorklet.addModule("webui/microphone.js");
    const microphone = new AudioWorkletNode(this.context, "microphone", { numberOfOutputs: 0 });
    microphone.port.onmessage = ({ data }) => this.send({ type: "input_audio_buffer.append", audio: encoded(data) });
    this.context.createMediaStreamSource(this.stream).connect(microphone);
    tell("Listening");
  }

  async write(words) {
    await this.open();
    this.silence();
    const content = [{ type: "input_text", text: words }];
    this.send({ type: "conversation.item.create", item: { type: "message", role: "user", content } });
    this.send({ type: "response.create" });
  }

  /** Stop what is being played, and tell the server how much of it was heard. */
  silence() {
    const heard = this.loudspeaker.stop();
    if (heard === null || !this.answer) return;
    if (this.answering) this.send({ type: "response.cancel" });
    this.send({ type: "conversation.item.truncate", item_id: this.answer, content_index: 0, audio_end_ms: heard });
  }

  hear(event) {
    const act = {
      "input_audio_buffer.speech_started": () => this.silence(),
      "conversation.item.added": () => this.show(event.item),
      "conversation.item.input_audio_transcription.completed": () => this.line(event.item_id, event.transcript, "mine"),
      "response.created": () => (this.answering = true),
      "response.output_audio.delta": () => this.play(event),
      "response.output_audio_transcript.delta": () => this.line(event.item_id, event.delta),
      "response.done": () => (this.answering = false),
      error: () => this.line(event.event_id, event.error.message, "wrong"),
    }[event.type];
    act?.();
  }

  play({ item_id, delta }) {
    this.answer = item_id;
    const bytes = Uint8Array.from(atob(delta), (letter) => letter.charCodeAt(0));
    this.loudspeaker.play(new Int16Array(bytes.buffer));
  }

  show({ id, role, content }) {
    const words = content.map(({ text, transcript }) => text ?? transcript ?? "").join(" ");
    if (role === "user" && words) this.line(id, words, "mine");
  }

  /** Add words to the line of an item. */
  line(id, words, kind = "") {
    if (!this.lines.has(id)) {
      this.lines.set(id, h("li", { className: kind }));
      byId("said").append(this.lines.get(id));
    }
    this.lines.get(id).append(words);
  }

  send(event) {
    if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(event));
  }

  close(words) {
    for (const track of this.stream?.getTracks() ?? []) track.stop();
    if (this.socket) this.socket.onclose = null;
    this.socket?.close();
    this.context?.close();
    Object.assign(this, { socket: null, stream: null, context: null });
    byId("talk").textContent = "Start talking";
    byId("talk").setAttribute("aria-pressed", "false");
    tell(words);
  }
}

function encoded(samples) {
  return btoa(String.fromCharCode(...new Uint8Array(samples.buffer)));
}

function tell(words) {
  byId("state").textContent = words;
}

const talk = new Talk();

byId("talk").onclick = async () => {
  if (talk.stream) return talk.close("Not connected");
  byId("talk").textContent = "Stop";
  byId("talk").setAttribute("aria-pressed", "true");
  try {
    await talk.listen();
  } catch (error) {
    talk.close(error.message);
  }
};

byId("typed").onsubmit = async (submitted) => {
  submitted.preventDefault();
  const words = byId("words").value.trim();
  if (!words) return;
  byId("words").value = "";
  try {
    await talk.write(words);
  } catch (error) {
    talk.close(error.message);
  }
};
