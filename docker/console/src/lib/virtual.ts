// Which rows of a long list are to be in the document.

export interface Rows {
  first: number;
  end: number; // one past the last
}

// What is seen, and a few rows above and below, for scrolling to find them there.
export function visible(top: number, height: number, row: number, count: number, beyond = 6): Rows {
  const last = Math.max(0, count - 1);
  const seen = Math.min(last, Math.max(0, Math.floor(top / row)));
  const first = Math.max(0, seen - beyond);
  return { first, end: Math.min(count, seen + Math.ceil(height / row) + 1 + beyond) };
}

// Where to scroll to for a row to be seen whole: nowhere where it is.
export function reveal(index: number, top: number, height: number, row: number): number {
  if (index * row < top) return index * row;
  return Math.max(top, (index + 1) * row - height);
}

// Which row a key leads to, or null where the key is about something else.
export function moved(key: string, from: number, count: number, page: number): number | null {
  const steps: Record<string, number> = {
    ArrowUp: from - 1,
    ArrowDown: from + 1,
    PageUp: from - page,
    PageDown: from + page,
    Home: 0,
    End: count - 1,
  };
  const to = steps[key];
  return to === undefined || count === 0 ? null : Math.min(count - 1, Math.max(0, to));
}
