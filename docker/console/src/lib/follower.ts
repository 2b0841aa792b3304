import { pause } from "./backoff";
import type { Message } from "./types";

// How the connection to /ws is.
export type Link =
  | { state: "connecting"; attempt: number }
  | { state: "live" }
  | { state: "waiting"; until: number; attempt: number }
  | { state: "refused"; reason: string };

export interface Wiring {
  open(): WebSocket;
  // Asked when a connection never opened, for which a browser gives no reason: null where trying again may help.
  refusal(): Promise<string | null>;
  take(messages: Message[]): void; // all that came since the last frame was painted
  said(link: Link): void;
  lost(reason: string): void; // the key is good no longer
}

const KEY_IS_BAD = 1008;
const HELD = 2000; // frames that wait for a paint, at most: a hidden page paints none
const SETTLED_MS = 5000; // a connection that lasts so long has worked

// Follows one gateway after another, for as long as it runs. What comes is handed on once a frame.
export class Follower {
  #socket: WebSocket | null = null;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #attempt = 0;
  #frames: string[] = [];
  #painting = 0;
  #running = false;

  constructor(readonly wiring: Wiring) {}

  start(): void {
    this.#running = true;
    addEventListener("online", this.#now);
    this.#connect();
  }

  stop(): void {
    this.#running = false;
    removeEventListener("online", this.#now);
    clearTimeout(this.#timer);
    cancelAnimationFrame(this.#painting);
    this.#socket?.close();
    this.#socket = null;
  }

  // Tries again at once.
  readonly retry = (): void => {
    if (this.#socket) return;
    clearTimeout(this.#timer);
    this.#connect();
  };

  readonly #now = (): void => {
    this.#attempt = 0;
    this.retry();
  };

  #connect(): void {
    this.wiring.said({ state: "connecting", attempt: this.#attempt });
    let opened = 0;
    const socket = this.wiring.open();
    this.#socket = socket;
    socket.onopen = () => {
      opened = Date.now();
      this.wiring.said({ state: "live" });
    };
    socket.onmessage = ({ data }) => {
      this.#frames.push(String(data));
      if (this.#frames.length > HELD) this.#flush();
      else if (!this.#painting) this.#painting = requestAnimationFrame(this.#flush);
    };
    socket.onclose = async ({ code, reason }) => {
      if (socket !== this.#socket) return;
      this.#socket = null;
      this.#flush();
      if (code === KEY_IS_BAD) return this.wiring.lost(reason);
      if (opened && Date.now() - opened > SETTLED_MS) this.#attempt = 0;
      const wait = pause(this.#attempt++);
      this.wiring.said({ state: "waiting", until: Date.now() + wait, attempt: this.#attempt });
      this.#timer = setTimeout(this.retry, wait);
      if (opened) return;
      const why = await this.wiring.refusal();
      if (why === null || !this.#running || this.#socket) return;
      clearTimeout(this.#timer);
      this.wiring.said({ state: "refused", reason: why });
    };
  }

  readonly #flush = (): void => {
    cancelAnimationFrame(this.#painting);
    this.#painting = 0;
    const frames = this.#frames;
    this.#frames = [];
    if (frames.length) this.wiring.take(frames.flatMap((frame) => JSON.parse(frame) as Message[]));
  };
}
