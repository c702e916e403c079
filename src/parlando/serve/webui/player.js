/*
 * Plays a clip while it grows. Slices of it are put end to end on the audio clock, at the clip's own rate, so that
 * joints fall on whole samples and nothing is resampled across them. Where the sound runs out before the clip is
 * complete, it has been faded already; whatever arrives in time takes the fade back.
 */

const SLICE_SECONDS = 2;
const AHEAD_SECONDS = 6;
const FADE_SECONDS = 0.006;
const FIRST_LEAD_SECONDS = 0.08;
const LONGEST_LEAD_SECONDS = 1.2;

export class Player {
  /** `context` is an AudioContext at the clip's rate; `onEnd` is called when a complete clip has been played. */
  constructor(context, clip, onEnd = () => {}) {
    Object.assign(this, { context, clip, onEnd });
    this.gain = new GainNode(context);
    this.gain.connect(context.destination);
    this.sources = new Set();
    this.playing = false;
    this.rest = 0; // where it stands while it does not play, in samples
    this.underruns = 0;
  }

  /** Where it is, in samples. */
  get position() {
    if (!this.playing || this.begin === null) return this.rest;
    const played = Math.round((this.context.currentTime - this.begin) * this.clip.rate);
    return Math.max(this.from, Math.min(this.from + played, this.next));
  }

  play(from = this.rest) {
    this.pause();
    this.playing = true;
    this.rest = this.from = this.next = Math.min(from, this.clip.length);
    this.begin = null;
    this.lead = this.clip.complete ? FADE_SECONDS : FIRST_LEAD_SECONDS;
    this.feed();
  }

  pause() {
    if (!this.playing) return;
    this.rest = this.position;
    this.playing = false;
    for (const source of this.sources) {
      source.onended = null;
      source.stop();
    }
    this.sources.clear();
  }

  /** Leave the audio graph. */
  close() {
    this.pause();
    this.gain.disconnect();
  }

  /** Call when the clip has grown, or is complete. */
  feed() {
    if (!this.playing) return;
    if (this.next < this.clip.length) this.schedule();
    else if (this.clip.complete && this.sources.size === 0) this.finish();
    else if (this.clip.complete) this.takeFadeBack();
  }

  finish() {
    this.playing = false;
    this.rest = 0;
    this.onEnd();
  }

  /** When a sample is heard. */
  when(sample) {
    return this.begin + (sample - this.from) / this.clip.rate;
  }

  schedule() {
    const { context, clip } = this;
    const level = this.gain.gain;
    const now = context.currentTime;
    if (this.begin === null || this.when(this.next) - FADE_SECONDS <= now) this.anchor(now);
    else this.takeFadeBack();
    while (this.next < clip.length && this.when(this.next) < now + AHEAD_SECONDS) {
      const samples = clip.part(this.next, this.next + SLICE_SECONDS * clip.rate);
      const buffer = new AudioBuffer({ length: samples.length, sampleRate: clip.rate });
      buffer.copyToChannel(samples, 0);
      const source = new AudioBufferSourceNode(context, { buffer });
      source.connect(this.gain);
      source.onended = () => this.ended(source);
      source.start(this.when(this.next));
      this.sources.add(source);
      this.next += samples.length;
    }
    if (this.next === clip.length && !clip.complete) {
      const end = this.when(this.next);
      level.setValueAtTime(1, end - FADE_SECONDS);
      level.linearRampToValueAtTime(0, end);
    }
  }

  /** What is there goes on, or ends as it ends. */
  takeFadeBack() {
    const fade = this.when(this.next) - FADE_SECONDS;
    if (fade > this.context.currentTime) this.gain.gain.cancelScheduledValues(fade - FADE_SECONDS / 2);
  }

  /** Begin, or begin again after running dry, a little later each time. */
  anchor(now) {
    const level = this.gain.gain;
    if (this.begin !== null) {
      this.underruns += 1;
      this.lead = Math.min(2 * this.lead, LONGEST_LEAD_SECONDS);
    }
    const last = this.begin === null ? now : Math.max(now, this.when(this.next));
    // On a whole sample of the context's clock: between two of them it would interpolate.
    this.begin = Math.ceil((last + this.lead) * this.clip.rate) / this.clip.rate;
    this.from = this.next;
    level.cancelScheduledValues(last);
    level.setValueAtTime(this.from === 0 ? 1 : 0, this.begin);
    level.linearRampToValueAtTime(1, this.begin + FADE_SECONDS);
  }

  ended(source) {
    this.sources.delete(source);
    this.feed();
  }
}
