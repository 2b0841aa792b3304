import { describe, expect, it } from "vitest";
import { arrange, loadOf, momentOf, stateOf, tally } from "../src/lib/nodes";
import type { LiveNode } from "../src/lib/types";

const node = (of: Partial<LiveNode> = {}): LiveNode => ({
  address: "10.0.0.1:11434",
  up: true,
  drained: false,
  leaving: false,
  ejected: false,
  takes_requests: true,
  in_flight: 0,
  slots: 4,
  loaded: ["tiny:latest"],
  breakers: {},
  ...of,
});

describe("a node's state", () => {
  it("is the one that matters most", () => {
    expect(stateOf(node())).toBe("serving");
    expect(stateOf(node({ drained: true, in_flight: 2 }))).toBe("draining");
    expect(stateOf(node({ drained: true }))).toBe("drained");
    expect(stateOf(node({ leaving: true }))).toBe("leaving");
    expect(stateOf(node({ ejected: true }))).toBe("ejected");
    expect(stateOf(node({ up: false, drained: true }))).toBe("down");
  });
});

describe("a node's load", () => {
  it("is of the slots of all models in its memory", () => {
    expect(loadOf(node({ in_flight: 4, loaded: ["a", "b"] }))).toBe(0.5);
  });
  it("is not known where nothing is in memory, or slots have no limit", () => {
    expect(loadOf(node({ loaded: null }))).toBeNull();
    expect(loadOf(node({ slots: 0 }))).toBeNull();
  });
});

const names = ["worker-1", "worker-2", "worker-10"];
const nodes = new Map([
  ["worker-1", node({ in_flight: 1, address: "10.0.0.7:11434" })],
  ["worker-2", node({ up: false, takes_requests: false, loaded: ["qwen3:8b"] })],
  ["worker-10", node({ in_flight: 3 })],
]);

describe("a list of nodes", () => {
  it("is filtered by name, address and model", () => {
    expect(arrange(names, nodes, "R-1", "", "name")).toEqual(["worker-1", "worker-10"]);
    expect(arrange(names, nodes, "0.0.7", "", "name")).toEqual(["worker-1"]);
    expect(arrange(names, nodes, "qwen", "", "name")).toEqual(["worker-2"]);
    expect(arrange(names, nodes, "", "down", "name")).toEqual(["worker-2"]);
  });
  it("has the busiest first, or what is wrong", () => {
    expect(arrange(names, nodes, "", "", "load")).toEqual(["worker-10", "worker-1", "worker-2"]);
    expect(arrange(names, nodes, "", "", "state")).toEqual(["worker-2", "worker-1", "worker-10"]);
  });
  it("does without those that have gone meanwhile", () => {
    expect(arrange([...names, "worker-11"], nodes, "worker", "", "name")).toEqual(names);
  });
});

describe("all nodes", () => {
  it("are counted by what they do", () => {
    expect(tally(nodes)).toMatchObject({ serving: 2, down: 1, drained: 0 });
  });
  it("have the slots of those that take requests, and all that is wanted", () => {
    expect(momentOf(nodes.values(), 5)).toEqual({ serving: 2, slots: 8, wanted: 9 });
  });
});
