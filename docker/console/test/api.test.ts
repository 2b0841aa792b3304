import { beforeAll, describe, expect, it, vi } from "vitest";
import type * as Api from "../src/lib/api";

let api: typeof Api;
beforeAll(async () => {
  vi.stubGlobal("sessionStorage", { getItem: () => null, removeItem: () => {} });
  api = await import("../src/lib/api");
});

describe("errors", () => {
  it("are worded as the platform or OpenAI's API words them", () => {
    expect(api.worded('{"error":"the key lacks the scope nodes"}', 403)).toBe(
      "the key lacks the scope nodes",
    );
    expect(api.worded('{"error":{"message":"slow down"}}', 429)).toBe("slow down");
  });
  it("name the nodes that have them", () => {
    const text = JSON.stringify({ error: "not everywhere", nodes: [{ node: "worker-2", error: "no room" }] });
    expect(api.worded(text, 503)).toBe("not everywhere; worker-2: no room");
  });
  it("of somebody else are at least numbers", () => {
    expect(api.worded("<html>", 502)).toBe("The platform answered 502 without a word.");
  });
});

describe("a stream of lines", () => {
  it("is read line by line, wherever the pieces end", async () => {
    const pieces = ['{"a":1}\n{"a"', ":2}\n\n", '{"a":3}'];
    const body = new ReadableStream({
      start(controller) {
        for (const piece of pieces) controller.enqueue(new TextEncoder().encode(piece));
        controller.close();
      },
    });
    const all: unknown[] = [];
    for await (const line of api.lines(new Response(body))) all.push(line);
    expect(all).toEqual([{ a: 1 }, { a: 2 }, { a: 3 }]);
  });
});

describe("what is asked", () => {
  it("shows the key, and fails in words where nobody is there", async () => {
    const fetch = vi.fn(async () => {
      throw new TypeError("no network");
    });
    vi.stubGlobal("fetch", fetch);
    await expect(api.ask("GET", "/api/version", undefined, undefined, "omx_1")).rejects.toThrow(
      api.UNREACHABLE,
    );
    expect(fetch).toHaveBeenCalledWith(
      "/api/version",
      expect.objectContaining({ headers: { Authorization: "Bearer omx_1" } }),
    );
  });
  it("keeps the slashes of a name in a path", () => {
    expect(api.inPath("hf.co/me/a model:q4")).toBe("hf.co/me/a%20model%3Aq4");
  });
});

describe("what is read", () => {
  it("is asked for once more where the network went away under it", async () => {
    const fetch = vi.fn().mockRejectedValueOnce(new TypeError("network changed"));
    fetch.mockResolvedValueOnce(new Response('{"version":"1"}'));
    vi.stubGlobal("fetch", fetch);
    vi.stubGlobal("navigator", { onLine: true });
    await expect(api.get("/api/version")).resolves.toMatchObject({ data: { version: "1" }, fresh: true });
    expect(fetch).toHaveBeenCalledTimes(2);
  });
  it("is not, where there is no network", async () => {
    const fetch = vi.fn().mockRejectedValue(new TypeError("no network"));
    vi.stubGlobal("fetch", fetch);
    vi.stubGlobal("navigator", { onLine: false });
    await expect(api.get("/api/version")).rejects.toThrow(api.UNREACHABLE);
    expect(fetch).toHaveBeenCalledTimes(1);
  });
});
