/* Uses of the page's modules, each by a name. Evaluated in the page, as one object. */
({
  /** A tone given to a player in uneven pieces, the last one in time or late; what is heard. */
  async joints(late) {
    const { Player } = await import("/webui/player.js");
    const { Clip } = await import("/webui/clip.js");
    const rate = 24000;
    const tone = Float32Array.from({ length: rate }, (_, i) => 0.5 * Math.sin((2 * Math.PI * 220 * i) / rate));
    const context = new OfflineAudioContext(1, 3 * rate, rate);
    const clip = new Clip(rate);
    const player = new Player(context, clip);
    const cuts = [0, 961, 2500, 2507, 9000, rate];
    const give = (index) => {
      clip.append(tone.subarray(cuts[index], cuts[index + 1]));
      player.feed();
      clip.complete = index === 4;
      player.feed();
    };
    give(0);
    player.play(0);
    for (let index = 1; index < 5; index++) {
      context.suspend(late && index === 4 ? 1 : 0.02 * index).then(() => {
        give(index);
        context.resume();
      });
    }
    const heard = (await context.startRendering()).getChannelData(0);
    return [Array.from(heard), Array.from(tone), player.underruns];
  },

  /** The largest difference between the transform and its definition. */
  async transform() {
    const { transform } = await import("/webui/spectrum.js");
    const n = 16;
    const real = Float32Array.from({ length: n }, (_, i) => Math.sin(i * i));
    const imaginary = new Float32Array(n);
    const part = (k, wave, sign) => real.reduce((sum, value, i) => sum + value * wave((sign * 2 * Math.PI * k * i) / n), 0);
    const slow = Array.from({ length: n }, (_, k) => [part(k, Math.cos, 1), part(k, Math.sin, -1)]);
    transform(real, imaginary);
    return Math.max(...slow.flatMap(([a, b], k) => [Math.abs(a - real[k]), Math.abs(b - imaginary[k])]));
  },

  /** What is read from a stream of events that comes in pieces of this many bytes. */
  async events(size) {
    const { events } = await import("/webui/api.js");
    const bytes = new TextEncoder().encode('data: {"a":"ü"}\n\n: note\n\ndata: {"a":\ndata: 2}\r\n\r\ndata: {"cut"');
    const body = new ReadableStream({
      start(controller) {
        for (let i = 0; i < bytes.length; i += size) controller.enqueue(bytes.slice(i, i + size));
        controller.close();
      },
    });
    const found = [];
    for await (const event of events(body)) found.push(event.a);
    return found;
  },

  /** Two samples that come in three pieces. */
  async pcm() {
    const { pcmDecoder } = await import("/webui/api.js");
    const decode = pcmDecoder();
    const pieces = [[0x00], [0x80, 0xff, 0x7f, 0x01], [0x00]].map((bytes) => Uint8Array.from(bytes));
    return pieces.flatMap((piece) => Array.from(decode(piece), (sample) => sample * 32768));
  },

  /** The written words that spoken sentences fall on, one list of `written` each. */
  async aligned(text, sentences) {
    const { align, wordsOf } = await import("/webui/reading.js");
    const written = wordsOf(text);
    let next = 0;
    return sentences.map((sentence) => {
      const spoken = wordsOf(sentence);
      const found = align(spoken, written, next);
      next = found.next;
      return spoken.map(({ word }, index) => `${word}:${written[found.places[index]]?.word}`).join(" ");
    });
  },

  /** When the words of a sentence begin, in shares of a second of 1000 samples. */
  async starts(text) {
    const { startsOf, wordsOf } = await import("/webui/reading.js");
    return startsOf({ start: 100, end: 1100 }, wordsOf(text), 0).map((start) => Math.round(start));
  },

  /** The words of a text that the server tells of, and when they begin. */
  async told(text, words) {
    const { placesOf, wordsOf } = await import("/webui/reading.js");
    const written = wordsOf(text);
    return placesOf(words, written, text).map(({ place, start }) => `${written[place].word} ${start}`);
  },

  async fileNames() {
    const { fileName } = await import("/webui/clip.js");
    return ["Où? Là/../bas", "…"].map((said) => fileName(said));
  },

  /** More than is kept: how many are left, the newest with its sound, and the oldest; read back or not. */
  async bounded(again) {
    const { openHistory, MOST_ENTRIES } = await import("/webui/history.js");
    let history = await openHistory("bounded");
    for (let i = 0; i < MOST_ENTRIES + 3; i++) {
      await history.add({ said: `${i}`, voices: [] }, new Int16Array(4).fill(i));
    }
    if (again) history = await openHistory("bounded");
    const [newest] = history.entries;
    return [history.entries.length, newest.said, (await history.sound(newest.id))[0], history.entries.at(-1).said];
  },
})
