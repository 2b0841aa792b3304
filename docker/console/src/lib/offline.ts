// What the platform said last, for when it can't be reached. It goes when the session ends.
const STORE = "ollamamax-last";

export interface Kept {
  text: string;
  at: number;
}

const address = (name: string): string => `./last/${encodeURIComponent(name)}`;

export async function keep(name: string, text: string): Promise<void> {
  try {
    const store = await caches.open(STORE);
    await store.put(address(name), new Response(text, { headers: { "X-At": String(Date.now()) } }));
  } catch {
    // No room, or none of this in a private window: nothing is there offline then.
  }
}

export async function recall(name: string): Promise<Kept | null> {
  try {
    const found = await (await caches.open(STORE)).match(address(name));
    return found ? { text: await found.text(), at: Number(found.headers.get("X-At")) } : null;
  } catch {
    return null;
  }
}

export async function forget(): Promise<void> {
  try {
    await caches.delete(STORE);
  } catch {
    // There was nothing to forget.
  }
}
