import { describe, expect, it } from "vitest";
import type { LiveNode, Message } from "../src/lib/types";
import { World } from "../src/lib/world";

const node = (in_flight: number): LiveNode => ({
  address: "10.0.0.1:11434",
  up: true,
  drained: false,
  leaving: false,
  ejected: false,
  takes_requests: true,
  in_flight,
  slots: 4,
  loaded: [],
  breakers: {},
});
const state = (key: string, in_flight = 0): Message => ({
  type: "state",
  topic: "nodes",
  key,
  value: node(in_flight),
});
const snapshot = (count: number, gateway = "gateway-1"): Message => ({
  type: "snapshot",
  gateway,
  topics: ["nodes"],
  count,
});

describe("what a gateway tells", () => {
  it("is there once the snapshot is whole, and not before", () => {
    const world = new World();
    expect([...world.apply([snapshot(2), state("a")])]).toEqual([]);
    expect(world.get("nodes").size).toBe(0);
    expect([...world.apply([state("b")])]).toEqual(["nodes"]);
    expect([...world.get("nodes").keys()]).toEqual(["a", "b"]);
  });

  it("stays while a second snapshot comes, and then makes way for it", () => {
    const world = new World();
    world.apply([snapshot(2), state("a"), state("b")]);
    world.apply([snapshot(1, "gateway-2")]);
    expect(world.get("nodes").size).toBe(2);
    world.apply([state("c")]);
    expect([...world.get("nodes").keys()]).toEqual(["c"]);
    expect(world.gateway).toBe("gateway-2");
  });

  it("may be nothing: an empty snapshot forgets all", () => {
    const world = new World();
    world.apply([snapshot(1), state("a")]);
    expect([...world.apply([snapshot(0)])]).toEqual(["nodes"]);
    expect(world.get("nodes").size).toBe(0);
  });

  it("changes and goes, one thing at a time", () => {
    const world = new World();
    world.apply([snapshot(1), state("a", 1)]);
    expect(world.apply([state("a", 3)])).toEqual(new Set(["nodes"]));
    expect(world.get("nodes").get("a")?.in_flight).toBe(3);
    world.apply([{ type: "gone", topic: "nodes", key: "a" }]);
    expect(world.get("nodes").size).toBe(0);
  });

  it("leaves topics alone that a snapshot is not of", () => {
    const world = new World();
    world.apply([{ type: "state", topic: "queue", key: "gateway-1", value: { waiting: 2 } }, snapshot(0)]);
    expect(world.get("queue").get("gateway-1")).toEqual({ waiting: 2 });
  });

  it("has another membership when things come and go, and the same when they only change", () => {
    const world = new World();
    world.apply([snapshot(1), state("a")]);
    const before = world.membership;
    world.apply([state("a", 2)]);
    expect(world.membership).toBe(before);
    world.apply([state("b")]);
    expect(world.membership).not.toBe(before);
  });

  it("counts what was dropped, over all times", () => {
    const world = new World();
    world.apply([
      { type: "dropped", count: 40 },
      { type: "dropped", count: 2 },
    ]);
    expect(world.dropped).toBe(42);
  });

  it("can be told again to another", () => {
    const world = new World();
    world.apply([snapshot(2), state("a", 1), state("b", 2)]);
    const other = new World();
    other.apply(world.messages());
    expect(other.get("nodes")).toEqual(world.get("nodes"));
    expect(other.gateway).toBe("gateway-1");
  });
});
