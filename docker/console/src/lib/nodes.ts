import type { LiveNode } from "./types";

export const STATES = ["serving", "draining", "drained", "ejected", "leaving", "down"] as const;
export type NodeState = (typeof STATES)[number];

// What a node is doing, in the one word that matters most.
export function stateOf(node: LiveNode): NodeState {
  if (!node.up) return "down";
  if (node.drained) return node.in_flight > 0 ? "draining" : "drained";
  if (node.leaving) return "leaving";
  return node.ejected ? "ejected" : "serving";
}

// How much of what it can do a node does: each model in its memory has its slots. Null where that has no limit, or
// nothing is in its memory.
export function loadOf(node: LiveNode): number | null {
  const slots = node.slots * (node.loaded?.length ?? 0);
  return slots > 0 ? node.in_flight / slots : null;
}

// What the nodes can do and what is wanted of them at one moment.
export interface Moment {
  serving: number; // nodes
  slots: number; // of these, of the models in their memory
  wanted: number; // requests in flight and waiting
}

export function momentOf(nodes: Iterable<LiveNode>, waiting: number): Moment {
  const moment = { serving: 0, slots: 0, wanted: waiting };
  for (const node of nodes) {
    moment.wanted += node.in_flight;
    if (!node.takes_requests) continue;
    moment.serving++;
    moment.slots += node.slots * (node.loaded?.length ?? 0);
  }
  return moment;
}

export const SORTS = ["name", "state", "load"] as const;
export type Sort = (typeof SORTS)[number];

// The names of the nodes that are looked for, in order. `sorted` has all names in theirs.
export function arrange(
  sorted: readonly string[],
  nodes: ReadonlyMap<string, LiveNode>,
  text: string,
  state: NodeState | "",
  sort: Sort,
): readonly string[] {
  const wanted = text.trim().toLowerCase();
  if (!wanted && !state && sort === "name") return sorted;
  const found = sorted.filter((name) => {
    const node = nodes.get(name);
    if (!node || (state && stateOf(node) !== state)) return false;
    return (
      !wanted ||
      name.toLowerCase().includes(wanted) ||
      node.address.includes(wanted) ||
      (node.loaded ?? []).some((model) => model.toLowerCase().includes(wanted))
    );
  });
  if (sort === "name") return found;
  const rank = (name: string): number => {
    const node = nodes.get(name);
    if (!node) return 0;
    return sort === "state" ? -STATES.indexOf(stateOf(node)) : -(loadOf(node) ?? -1);
  };
  const ranks = new Map(found.map((name) => [name, rank(name)]));
  return found.sort((a, b) => (ranks.get(a) ?? 0) - (ranks.get(b) ?? 0)); // equals keep their order
}

export function tally(nodes: ReadonlyMap<string, LiveNode>): Record<NodeState, number> {
  const counts = { serving: 0, draining: 0, drained: 0, ejected: 0, leaving: 0, down: 0 };
  for (const node of nodes.values()) counts[stateOf(node)]++;
  return counts;
}
