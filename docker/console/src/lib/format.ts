// Numbers as people read them. What is not known is a dash, never a zero.
export const NONE = "–";

const whole = new Intl.NumberFormat("en-GB", { maximumFractionDigits: 0 });
const tenth = new Intl.NumberFormat("en-GB", { minimumFractionDigits: 1, maximumFractionDigits: 1 });

export function count(value: number | null | undefined): string {
  return value == null ? NONE : whole.format(value);
}

// To three digits, as many as a changing number can be read with.
export function short(value: number | null | undefined): string {
  if (value == null) return NONE;
  for (const [unit, size] of [
    ["G", 1e9],
    ["M", 1e6],
    ["k", 1e4],
  ] as const) {
    if (Math.abs(value) >= size) {
      const scaled = value / (unit === "k" ? 1e3 : size);
      return (scaled >= 100 ? whole : tenth).format(scaled) + unit;
    }
  }
  return (Math.abs(value) >= 100 || Number.isInteger(value) ? whole : tenth).format(value);
}

export function bytes(value: number | null | undefined): string {
  if (value == null) return NONE;
  if (value < 1024) return `${value} B`;
  const power = Math.min(4, Math.floor(Math.log2(value) / 10));
  const scaled = value / 1024 ** power;
  return `${(scaled >= 100 ? whole : tenth).format(scaled)} ${["B", "KiB", "MiB", "GiB", "TiB"][power]}`;
}

// A time that something takes.
export function seconds(value: number | null | undefined): string {
  if (value == null) return NONE;
  if (value < 0.0995) return `${tenth.format(value * 1000)} ms`;
  if (value < 1) return `${whole.format(value * 1000)} ms`;
  return value < 60 ? `${tenth.format(value)} s` : span(value);
}

// A long time, to its two largest units.
export function span(value: number): string {
  const units = [
    ["d", 86400],
    ["h", 3600],
    ["min", 60],
    ["s", 1],
  ] as const;
  const first = Math.max(
    0,
    units.findIndex(([, size]) => value >= size),
  );
  const start = value < 1 ? units.length - 1 : first;
  const parts: string[] = [];
  let rest = Math.floor(value);
  for (const [unit, size] of units.slice(start, start + 2)) {
    const times = Math.floor(rest / size);
    if (times > 0 || parts.length === 0) parts.push(`${times} ${unit}`);
    rest -= times * size;
  }
  return parts.join(" ");
}

export function percent(value: number | null | undefined): string {
  if (value == null || Number.isNaN(value)) return NONE;
  return value !== 0 && Math.abs(value) < 1 ? `${value.toFixed(2)} %` : `${tenth.format(value)} %`;
}

export function ago(then: string | null | undefined, now: number): string {
  if (!then) return NONE;
  const passed = (now - Date.parse(then)) / 1000;
  return passed < 5 ? "now" : `${span(passed).split(" ").slice(0, 2).join(" ")} ago`;
}

const two = (value: number): string => String(value).padStart(2, "0");

export function clock(at: number, withSeconds = true): string {
  const time = new Date(at);
  return `${two(time.getHours())}:${two(time.getMinutes())}${withSeconds ? `:${two(time.getSeconds())}` : ""}`;
}

export function day(then: string | null | undefined): string {
  return then ? then.slice(0, 10) : NONE;
}
