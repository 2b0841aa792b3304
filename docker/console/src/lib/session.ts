import { signal } from "@preact/signals";
import { forget } from "./offline";

const NAME = "ollamamax.key";

// The key that this tab is signed in with. It is kept for as long as the tab is there, and nowhere else.
export const key = signal<string | null>(sessionStorage.getItem(NAME));
// Why the last session ended, for the page on which the next one begins.
export const farewell = signal<string | null>(null);

if (key.value === null) void forget(); // what a session before has left

export async function signIn(shown: string): Promise<void> {
  await forget(); // it may be another tenant's
  sessionStorage.setItem(NAME, shown);
  farewell.value = null;
  key.value = shown;
}

export function signOut(reason: string | null = null): void {
  sessionStorage.removeItem(NAME);
  farewell.value = reason;
  key.value = null;
  void forget();
}
