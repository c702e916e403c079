/* What was made, kept in this browser's IndexedDB or, where that is not allowed, in memory; bounded either way. */

export const MOST_ENTRIES = 40;
export const MOST_BYTES = 96 * 2 ** 20;

/** The history; `entries` are the newest first, without their sound. */
export async function openHistory(name = "parlando") {
  const store = await openDatabase(name).catch(() => new MemoryStore());
  const entries = await store.list();
  return new History(store, entries.sort((a, b) => b.at - a.at));
}

class History {
  constructor(store, entries) {
    Object.assign(this, { store, entries });
  }

  /** Keep an entry and its 16-bit samples; the oldest make room. */
  async add(entry, samples) {
    const kept = { ...entry, id: crypto.getRandomValues(new Uint32Array(2)).join("-"), at: Date.now(), bytes: samples.byteLength };
    this.entries.unshift(kept);
    let bytes = 0;
    const leaving = this.entries.filter(({ bytes: own }, index) => (bytes += own) > MOST_BYTES && index > 0 || index >= MOST_ENTRIES);
    await Promise.all(leaving.map(({ id }) => this.remove(id)));
    await this.write(kept, samples);
    return kept;
  }

  async write(entry, samples) {
    try {
      await this.store.put(entry, samples);
    } catch (error) {
      if (this.store instanceof MemoryStore) throw error;
      // The disk is full, or site data was switched off meanwhile.
      this.store = new MemoryStore(this.store);
      await this.store.put(entry, samples);
    }
  }

  /** The samples of an entry. */
  sound(id) {
    return this.store.sound(id);
  }

  async remove(id) {
    this.entries = this.entries.filter((entry) => entry.id !== id);
    await this.store.remove(id);
  }

  async clear() {
    await Promise.all(this.entries.map(({ id }) => this.remove(id)));
  }
}

class MemoryStore {
  constructor(older = null) {
    this.older = older;
    this.sounds = new Map();
  }

  async list() {
    return [];
  }

  async put({ id }, samples) {
    this.sounds.set(id, samples);
  }

  async sound(id) {
    return this.sounds.get(id) ?? this.older?.sound(id);
  }

  async remove(id) {
    this.sounds.delete(id);
    await this.older?.remove(id);
  }
}

class DatabaseStore {
  constructor(database) {
    this.database = database;
  }

  list() {
    return settled(this.database.transaction("entries").objectStore("entries").getAll());
  }

  async put(entry, samples) {
    await this.change((entries, sounds) => {
      entries.put(entry);
      sounds.put(samples, entry.id);
    });
  }

  sound(id) {
    return settled(this.database.transaction("sounds").objectStore("sounds").get(id));
  }

  async remove(id) {
    await this.change((entries, sounds) => {
      entries.delete(id);
      sounds.delete(id);
    });
  }

  change(work) {
    return new Promise((resolve, reject) => {
      const transaction = this.database.transaction(["entries", "sounds"], "readwrite");
      transaction.oncomplete = resolve;
      transaction.onerror = transaction.onabort = () => reject(transaction.error);
      work(transaction.objectStore("entries"), transaction.objectStore("sounds"));
    });
  }
}

async function openDatabase(name) {
  const request = indexedDB.open(name, 1);
  request.onupgradeneeded = () => {
    request.result.createObjectStore("entries", { keyPath: "id" });
    request.result.createObjectStore("sounds");
  };
  return new DatabaseStore(await settled(request));
}

function settled(request) {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}
