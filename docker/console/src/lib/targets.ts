// What the platform aims at, and from where on something is to be done: the report's targets and its KPI thresholds.
export interface Threshold {
  target: number;
  warning: number;
  critical: number;
  above: boolean; // more is worse
}

const MIB = 1024 * 1024;

export const THROUGHPUT: Threshold = { target: 500, warning: 400, critical: 300, above: false }; // requests a second
export const OVERHEAD_P99: Threshold = { target: 0.01, warning: 0.025, critical: 0.05, above: true }; // seconds
export const ERRORS: Threshold = { target: 0.1, warning: 1, critical: 5, above: true }; // percent
export const MEMORY: Threshold = {
  target: 1024 * MIB,
  warning: 2048 * MIB,
  critical: 3072 * MIB,
  above: true,
}; // bytes

export type Level = "met" | "missed" | "warning" | "critical";

// Where a value stands; null where nothing is known of it.
export function level(value: number | null | undefined, threshold: Threshold): Level | null {
  if (value == null) return null;
  const worse = (than: number) => (threshold.above ? value >= than : value <= than);
  if (worse(threshold.critical)) return "critical";
  if (worse(threshold.warning)) return "warning";
  return (threshold.above ? value <= threshold.target : value >= threshold.target) ? "met" : "missed";
}
