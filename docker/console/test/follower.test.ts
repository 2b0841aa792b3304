import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { Follower, type Link } from "../src/lib/follower";
import type { Message } from "../src/lib/types";

class Socket {
  onopen: (() => void) | null = null;
  onmessage: ((event: { data: string }) => void) | null = null;
  onclose: ((event: { code: number; reason: string }) => void) | null = null;
  closed = false;
  close() {
    this.closed = true;
  }
}

let sockets: Socket[];
let said: Link[];
let taken: Message[][];
let lost: string[];
let refusal: string | null;
let frames: (() => void)[];
let follower: Follower;

beforeEach(() => {
  vi.useFakeTimers();
  [sockets, said, taken, lost, frames] = [[], [], [], [], []];
  refusal = null;
  vi.stubGlobal("requestAnimationFrame", (paint: () => void) => frames.push(paint));
  vi.stubGlobal("cancelAnimationFrame", () => {});
  vi.stubGlobal("addEventListener", () => {});
  vi.stubGlobal("removeEventListener", () => {});
  follower = new Follower({
    open() {
      const socket = new Socket();
      sockets.push(socket);
      return socket as unknown as WebSocket;
    },
    refusal: async () => refusal,
    take: (messages) => taken.push(messages),
    said: (link) => said.push(link),
    lost: (reason) => lost.push(reason),
  });
  follower.start();
});
afterEach(() => {
  follower.stop();
  vi.useRealTimers();
});

const last = () => {
  const socket = sockets.at(-1);
  if (!socket) throw new Error("no socket");
  return socket;
};
const gone = (key: string) => JSON.stringify([{ type: "gone", topic: "nodes", key }]);

describe("a connection", () => {
  it("hands on once a frame what came since the last one", () => {
    last().onopen?.();
    for (const key of ["a", "b", "c"]) last().onmessage?.({ data: gone(key) });
    expect(taken).toEqual([]);
    expect(frames).toHaveLength(1);
    frames[0]?.();
    expect(taken.map((messages) => messages.length)).toEqual([3]);
  });

  it("does not pile up what a hidden page never paints", () => {
    last().onopen?.();
    for (let number = 0; number <= 2000; number++) last().onmessage?.({ data: gone(String(number)) });
    expect(taken).toHaveLength(1);
  });

  it("that ends is made anew, later each time", async () => {
    const waits: number[] = [];
    for (let attempt = 0; attempt < 5; attempt++) {
      last().onclose?.({ code: 1006, reason: "" });
      const link = said.at(-1);
      if (link?.state !== "waiting") throw new Error(`it is ${link?.state}`);
      waits.push(link.until - Date.now());
      await vi.advanceTimersByTimeAsync(30_000);
      expect(sockets).toHaveLength(attempt + 2);
    }
    expect(waits[4]).toBeGreaterThan((waits[0] ?? 0) * 4);
  });

  it("that worked for a while begins with the shortest pause again", async () => {
    for (let attempt = 0; attempt < 5; attempt++) {
      last().onclose?.({ code: 1006, reason: "" });
      await vi.advanceTimersByTimeAsync(30_000);
    }
    last().onopen?.();
    await vi.advanceTimersByTimeAsync(10_000);
    last().onclose?.({ code: 1001, reason: "the gateway is stopping" });
    const link = said.at(-1);
    expect(link?.state === "waiting" && link.until - Date.now()).toBeLessThanOrEqual(500);
  });

  it("whose key is good no longer is not made anew", async () => {
    last().onopen?.();
    last().onclose?.({ code: 1008, reason: "the API key is good no longer" });
    await vi.advanceTimersByTimeAsync(60_000);
    expect(lost).toEqual(["the API key is good no longer"]);
    expect(sockets).toHaveLength(1);
  });

  it("that is refused says why, and tries no more", async () => {
    refusal = "the key lacks the scope nodes";
    last().onclose?.({ code: 1006, reason: "" });
    await vi.advanceTimersByTimeAsync(60_000);
    expect(said.at(-1)).toEqual({ state: "refused", reason: refusal });
    expect(sockets).toHaveLength(1);
  });

  it("that is stopped stays so", async () => {
    const socket = last();
    follower.stop();
    socket.onclose?.({ code: 1006, reason: "" });
    await vi.advanceTimersByTimeAsync(60_000);
    expect(socket.closed).toBe(true);
    expect(sockets).toHaveLength(1);
  });
});
