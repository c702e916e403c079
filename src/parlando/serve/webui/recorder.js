/* Records from the microphone, and turns the recording into a WAV file that any server reads. */

import { toInt16, wavBlob } from "./clip.js";

export const LONGEST_SECONDS = 30;

/** Record until `stop()` or the longest time; `onLevel(level, seconds)` is called as it goes. */
export class Recorder {
  async start(onLevel, onFull) {
    if (!navigator.mediaDevices?.getUserMedia) {
      throw new Error("Browsers record on https or localhost only; choose a file instead");
    }
    const audio = { echoCancellation: false, noiseSuppression: false, autoGainControl: false, channelCount: 1 };
    this.stream = await navigator.mediaDevices.getUserMedia({ audio });
    this.context = new AudioContext();
    const meter = new AnalyserNode(this.context, { fftSize: 1024 });
    this.context.createMediaStreamSource(this.stream).connect(meter);
    this.parts = [];
    this.recorder = new MediaRecorder(this.stream);
    this.recorder.ondataavailable = ({ data }) => this.parts.push(data);
    this.recorder.start();
    const began = performance.now();
    const samples = new Float32Array(meter.fftSize);
    this.timer = setInterval(() => {
      meter.getFloatTimeDomainData(samples);
      const seconds = (performance.now() - began) / 1000;
      onLevel(Math.sqrt(samples.reduce((peak, sample) => Math.max(peak, Math.abs(sample)), 0)), seconds);
      if (seconds >= LONGEST_SECONDS) onFull();
    }, 60);
  }

  /** The recording as a WAV blob. */
  async stop() {
    const stopped = new Promise((resolve) => (this.recorder.onstop = resolve));
    this.recorder.stop();
    await stopped;
    const bytes = await new Blob(this.parts, { type: this.recorder.mimeType }).arrayBuffer();
    const decoded = await this.context.decodeAudioData(bytes);
    await this.release();
    return wavBlob(toInt16(decoded.getChannelData(0)), decoded.sampleRate);
  }

  /** Let go of the microphone. */
  async release() {
    clearInterval(this.timer);
    for (const track of this.stream?.getTracks() ?? []) track.stop();
    if (this.context?.state !== "closed") await this.context?.close();
  }
}
