/* The sound in hand: its picture, its player, and the controls under it. */

import { byId, clock, h } from "./dom.js";
import { Picture } from "./picture.js";
import { Player } from "./player.js";
import { Reading } from "./reading.js";

const USUAL_RATE = 24_000;

export class Stage {
  /** `onTurn(row)` is called with the line that is heard, or null; `onPlay()` before anything is. */
  constructor(onTurn, onPlay) {
    Object.assign(this, { onTurn, onPlay });
    this.clip = null;
    this.player = null;
    this.context = null;
    this.ticking = false;
    this.picture = new Picture(byId("picture"));
    this.reading = new Reading((sample) => this.clip && this.seek(sample));
    byId("play").addEventListener("click", () => this.toggle());
    byId("position").addEventListener("input", ({ target }) => this.seek(Math.round(target.value * this.clip.rate)));
    byId("picture").addEventListener("pointerdown", (event) => this.clip && this.seek(this.picture.sampleAt(event.offsetX)));
    this.refresh();
  }

  /** Call from a click or a key: browsers let only those begin a sound. */
  unlock(rate = this.context?.sampleRate ?? USUAL_RATE) {
    this.onPlay();
    if (this.context?.sampleRate !== rate) {
      this.context?.close();
      this.context = new AudioContext({ sampleRate: rate, latencyHint: "interactive" });
    }
    this.context.resume();
  }

  /** Take a clip in hand, and begin to play it. */
  open(clip, { play = true } = {}) {
    this.close();
    this.clip = clip;
    this.unlock(clip.rate);
    this.player = new Player(this.context, clip, () => this.refresh());
    this.picture.show(clip);
    byId("picture-empty").hidden = true;
    byId("picture-frame").classList.remove("blank");
    if (play) this.player.play(0);
    this.grown();
  }

  close() {
    this.player?.close();
    this.player = this.clip = null;
    this.picture.show(null);
    byId("picture").setAttribute("aria-label", "Waveform and spectrogram: nothing yet");
    byId("picture-empty").hidden = false;
    byId("picture-frame").classList.add("blank");
    showFacts([]);
    this.refresh();
  }

  /** The clip has grown, or is complete. */
  grown() {
    this.player?.feed();
    if (this.clip?.complete) {
      byId("picture").setAttribute("aria-label", `Waveform and spectrogram of ${this.clip.seconds.toFixed(1)} seconds`);
    }
    this.refresh();
  }

  toggle() {
    this.unlock();
    if (this.player.playing) this.player.pause();
    else this.player.play();
    this.refresh();
  }

  pause() {
    this.player?.pause();
    this.refresh();
  }

  seek(sample) {
    if (this.player.playing) this.player.play(sample);
    else this.player.rest = sample;
    this.refresh();
  }

  /** Bring everything up to date, and go on doing so while something moves. */
  refresh() {
    this.show();
    if (!this.ticking) {
      this.ticking = true;
      requestAnimationFrame(() => this.tick());
    }
  }

  tick() {
    const settled = this.picture.update(this.player?.position ?? 0);
    this.show();
    this.ticking = Boolean(this.player?.playing) || !settled;
    if (this.ticking) requestAnimationFrame(() => this.tick());
  }

  show() {
    const { clip, player } = this;
    const now = clip ? player.position / clip.rate : 0;
    const all = clip?.seconds ?? 0;
    const play = byId("play");
    const playing = Boolean(player?.playing);
    play.disabled = !clip;
    if (play.classList.toggle("playing", playing) !== (play.getAttribute("aria-label") === "Pause")) {
      play.setAttribute("aria-label", playing ? "Pause" : "Play");
    }
    const position = byId("position");
    position.disabled = !clip;
    position.max = all.toFixed(2);
    position.value = now.toFixed(2);
    setText(byId("time-now"), clock(now));
    setText(byId("time-all"), clock(all));
    // Screen readers would read every change out while it plays.
    if (!playing) position.setAttribute("aria-valuetext", `${now.toFixed(1)} of ${all.toFixed(1)} seconds`);
    byId("download").disabled = !clip?.complete;
    this.reading.update(clip, playing || now > 0 ? player.position : null);
    const turn = playing ? clip.turns.findLast(({ start }) => start <= player.position) : null;
    if (turn?.row !== this.row) {
      this.row = turn?.row;
      this.onTurn(this.row ?? null);
    }
  }
}

/** Pairs of a name and a value, beside the title of the sound. */
export function showFacts(pairs) {
  byId("facts").replaceChildren(...pairs.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))));
}

function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}
