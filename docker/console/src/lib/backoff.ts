// How long to wait before the next attempt to connect, milliseconds: twice as long each time up to half a minute,
// and anywhere in the upper half of it, so that the clients of a gateway that is gone don't all come at once.
export const FIRST_MS = 500;
export const LONGEST_MS = 30_000;

export function pause(attempt: number, random: () => number = Math.random): number {
  const longest = Math.min(LONGEST_MS, FIRST_MS * 2 ** Math.min(attempt, 16));
  return Math.round(longest * (0.5 + random() / 2));
}
