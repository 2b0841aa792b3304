import { beforeAll, describe, expect, it, vi } from "vitest";
import type { progressed as Progressed, Pull } from "../src/lib/pulls";

let progressed: typeof Progressed;
beforeAll(async () => {
  vi.stubGlobal("sessionStorage", { getItem: () => null });
  ({ progressed } = await import("../src/lib/pulls"));
});

const begun: Pull = {
  model: "m",
  status: "asking",
  completed: 0,
  total: 0,
  state: "running",
  stop: () => {},
};

describe("a pull", () => {
  it("shows the step and how far it has come", () => {
    expect(progressed(begun, { status: "pulling 8eeb", completed: 5, total: 10 })).toMatchObject({
      status: "pulling 8eeb",
      completed: 5,
      total: 10,
      state: "running",
    });
  });
  it("forgets the step before", () => {
    const half = progressed(begun, { status: "pulling 8eeb", completed: 5, total: 10 });
    expect(progressed(half, { status: "verifying" })).toMatchObject({ completed: 0, total: 0 });
  });
  it("ends with success, or with the error of a node", () => {
    expect(progressed(begun, { status: "success" }).state).toBe("done");
    expect(progressed(begun, { error: "worker-2: no room" })).toMatchObject({
      state: "failed",
      status: "worker-2: no room",
    });
  });
});
