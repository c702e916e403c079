/* The public routes of the server, and nothing else of it. */

let key = "";

/** Send this key with every request from now on. */
export function useKey(value) {
  key = value.trim();
}

/** A request that failed: status 0 when no answer came. */
export class Failure extends Error {
  constructor(message, { status = 0, code = "", param = null, retrySeconds = null } = {}) {
    super(message);
    Object.assign(this, { status, code, param, retrySeconds });
  }
}

/** Ask one route; a `Failure` unless it answers well. An abort stays what it is. */
async function ask(path, options = {}) {
  const headers = { ...(key && { Authorization: `Bearer ${key}` }), ...options.headers };
  let response;
  try {
    response = await fetch(path, { ...options, headers });
  } catch (error) {
    throw lost(error);
  }
  if (!response.ok) throw await failureOf(response);
  return response;
}

function lost(error) {
  return error.name === "AbortError" ? error : new Failure("the connection broke");
}

async function failureOf(response) {
  const body = await response.json().catch(() => ({}));
  const { message = response.statusText, code = "", param = null } = body.error ?? {};
  const retrySeconds = Number(response.headers.get("Retry-After")) || null;
  return new Failure(message, { status: response.status, code, param, retrySeconds });
}

/** Whether every model has spoken, and which there are: `{ready, draining, models}`. */
export async function readiness() {
  try {
    const response = await fetch("ready", { cache: "no-store" });
    return await response.json();
  } catch (error) {
    throw lost(error);
  }
}

/** What each model can do: `[{id, default_voice, languages, converts}]`. */
export async function listModels() {
  return (await (await ask("webui/models.json")).json()).models;
}

export async function listVoices() {
  return (await (await ask("v1/audio/voices")).json()).voices;
}

export async function addVoice(form) {
  return (await ask("v1/audio/voices", { method: "POST", body: form })).json();
}

export async function deleteVoice(name) {
  await ask(`v1/audio/voices/${encodeURIComponent(name)}`, { method: "DELETE" });
}

/** A voice's sample as the bytes of a file. */
export async function sampleOf(name) {
  return (await ask(`v1/audio/voices/${encodeURIComponent(name)}/sample`)).arrayBuffer();
}

/** A file of 16-bit samples. */
export async function encode(samples, rate, format) {
  const path = `v1/webui/encode?${new URLSearchParams({ format, sample_rate: rate })}`;
  return (await ask(path, { method: "POST", body: samples })).blob();
}

/** Say a recording in another voice; yields as `speak` does, without a seed. */
export async function* convert(recording, fields, signal) {
  const form = new FormData();
  form.set("file", recording, recording.name ?? "recording.wav");
  for (const [name, value] of Object.entries({ ...fields, response_format: "pcm" })) if (value) form.set(name, value);
  const response = await ask("v1/audio/conversions", { method: "POST", body: form, signal });
  yield { seed: null, rate: Number(response.headers.get("X-Sample-Rate")) };
  const decode = pcmDecoder();
  const reader = response.body.getReader();
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      yield { samples: decode(value) };
    }
  } catch (error) {
    throw lost(error);
  } finally {
    reader.cancel().catch(() => {});
  }
}

/**
 * Speak, and yield `{seed, rate}` once and then, as they arrive, `{samples}` (Float32Array, mono), sentences that begin
 * and end, `{began}` and `{ended}`, and words that were said, `{word}`. Events rather than bare PCM: a failure on the way has a message there.
 */
export async function* speak(body, signal) {
  const response = await ask("v1/audio/speech", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: toJson({ ...body, response_format: "pcm", stream_format: "sse", sentences: true, words: true }),
    signal,
  });
  yield { seed: response.headers.get("X-Seed"), rate: Number(response.headers.get("X-Sample-Rate")) };
  const decode = pcmDecoder();
  for await (const event of events(response.body)) {
    if (event.type === "speech.audio.delta") yield { samples: decode(bytesOf(event.audio)) };
    else if (event.type === "speech.sentence.started") yield { began: event };
    else if (event.type === "speech.sentence.ended") yield { ended: event };
    else if (event.type === "speech.word") yield { word: event };
    else if (event.type === "error") throw new Failure(event.error.message, { status: 500, code: event.error.code });
    else if (event.type === "speech.audio.done") return;
  }
  throw new Failure("the server stopped in the middle");
}

/** JSON with a seed of 63 bits, which a number of JavaScript cannot hold. */
export function toJson({ seed, ...body }) {
  const text = JSON.stringify(body);
  return seed === undefined ? text : `${text.slice(0, -1)},"seed":${BigInt(seed)}}`;
}

/** The JSON of every server-sent event of a body, however it is cut up. */
export async function* events(body) {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  let rest = "";
  try {
    for (;;) {
      const { value, done } = await reader.read();
      rest += decoder.decode(value, { stream: !done });
      const blocks = rest.split(/\r?\n\r?\n/);
      rest = blocks.pop();
      for (const block of blocks) {
        const data = block.split(/\r?\n/).filter((line) => line.startsWith("data:"));
        if (data.length) yield JSON.parse(data.map((line) => line.slice(5)).join("\n"));
      }
      if (done) return;
    }
  } catch (error) {
    throw error instanceof SyntaxError ? new Failure("the server sent something unreadable") : lost(error);
  } finally {
    reader.cancel().catch(() => {});
  }
}

export function bytesOf(base64) {
  return Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
}

/** Bytes of 16-bit little-endian samples to floats; half a sample waits for its other half. */
export function pcmDecoder() {
  let half = [];
  return (bytes) => {
    const all = half.length ? Uint8Array.of(...half, ...bytes) : bytes;
    const view = new DataView(all.buffer, all.byteOffset, all.length);
    const samples = Float32Array.from({ length: all.length >> 1 }, (_, i) => view.getInt16(2 * i, true) / 32768);
    half = all.length & 1 ? [all.at(-1)] : [];
    return samples;
  };
}
