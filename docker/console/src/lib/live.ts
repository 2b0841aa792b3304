import { batch, effect, type Signal, signal } from "@preact/signals";
import { ask, Failure } from "./api";
import { Follower, type Link } from "./follower";
import { type Moment, momentOf } from "./nodes";
import { keep, recall } from "./offline";
import { Recent } from "./series";
import { key, signOut } from "./session";
import type { Message, Rates, Topic, Topics } from "./types";
import { World } from "./world";

const RATES_S = 300;
const MOMENTS_S = 900;
const SAMPLE_EVERY_MS = 1000;
const KEEP_EVERY_MS = 15_000;
const KEEP_FIRST_MS = 2_000; // after a connection
const PART = 500; // messages
const NAME = "live";

const TOPICS: Topic[] = ["cluster", "nodes", "models", "aliases", "queue", "rates"];

let world = new World();
const versions = Object.fromEntries(TOPICS.map((topic) => [topic, signal(0)])) as Record<
  Topic,
  Signal<number>
>;
let names = { membership: -1, sorted: [] as string[] };

export const link = signal<Link>({ state: "connecting", attempt: 0 });
// When what is shown was so, where it is not what is now.
export const asOf = signal<number | null>(null);
export const dropped = signal(0);
// How many times a connection came about: whatever could not be asked before can be now.
export const connections = signal(0);
// What was told since somebody signed in, of the last minutes.
export const rates = new Recent<Rates>(RATES_S);
export const moments = new Recent<Moment>(MOMENTS_S);

// The things of a topic. Whoever reads them is told when they are otherwise.
export function things<T extends Topic>(topic: T): ReadonlyMap<string, Topics[T]> {
  versions[topic].value;
  return world.get(topic);
}

// The one thing that the gateway which is followed says of itself.
export function own<T extends "cluster" | "queue" | "rates">(topic: T): Topics[T] | undefined {
  const all = things(topic);
  return all.get(world.gateway ?? "") ?? all.values().next().value;
}

export function gateway(): string | null {
  versions.cluster.value;
  return world.gateway;
}

// Without having the reader told of changes: for what looks once a second.
export function peek<T extends Topic>(topic: T): ReadonlyMap<string, Topics[T]> {
  return world.get(topic);
}

const collator = new Intl.Collator("en", { numeric: true });

// The names of all workers in their order, which is worked out anew only when there are others.
export function workers(): string[] {
  if (world.membership !== names.membership) {
    names = { membership: world.membership, sorted: [...world.get("nodes").keys()].sort(collator.compare) };
  }
  return names.sorted;
}

function take(messages: Message[]): void {
  const changed = world.apply(messages);
  batch(() => {
    for (const topic of changed) versions[topic].value++;
    dropped.value = world.dropped;
    asOf.value = null;
  });
}

async function refusal(): Promise<string | null> {
  try {
    await ask("GET", "/api/v1/cluster");
    return null;
  } catch (error) {
    return error instanceof Failure && error.status === 403 ? error.message : null;
  }
}

let follower: Follower | null = null;

// Tries to connect at once.
export const reconnect = (): void => follower?.retry();

// Follows the platform for as long as somebody is signed in.
export function follow(): void {
  effect(() => {
    const shown = key.value;
    if (shown === null) return;
    world = new World();
    names.membership = -1;
    rates.clear();
    moments.clear();
    const address = new URL("/ws", location.href);
    address.protocol = address.protocol.replace("http", "ws");
    follower = new Follower({
      open: () => new WebSocket(address, ["ollamamax.v1", `bearer.${shown}`]),
      refusal,
      take,
      said(to) {
        link.value = to;
        if (to.state === "live") {
          connections.value++;
          setTimeout(remember, KEEP_FIRST_MS);
        }
        if (to.state === "waiting" && asOf.peek() === null && world.gateway !== null) asOf.value = Date.now();
        if (to.state === "waiting" && world.gateway === null) void restore();
      },
      lost: (reason) => signOut(`Signed out: ${reason}`),
    });
    follower.start();
    const timers = [setInterval(remember, KEEP_EVERY_MS), setInterval(sample, SAMPLE_EVERY_MS)];
    return () => {
      timers.forEach(clearInterval);
      follower?.stop();
      follower = null;
    };
  });
}

// Notes how things are, once a second while they are told: what is as it was is not told again.
function sample(): void {
  const last = world.get("rates").get(world.gateway ?? "");
  if (link.peek().state !== "live" || !last) return;
  const now = Date.now();
  rates.add(now, last);
  const waiting = world.get("queue").get(world.gateway ?? "")?.waiting ?? 0;
  moments.add(now, momentOf(world.get("nodes").values(), waiting));
  versions.rates.value++;
}

const idle = (): Promise<unknown> => new Promise((ready) => requestIdleCallback(ready));

// Keeps what is known, a part at a time: all of thousands of nodes at once would hold up a paint.
async function remember(): Promise<void> {
  if (link.peek().state !== "live" || world.gateway === null) return;
  const messages = world.messages();
  const parts: string[] = [];
  for (let first = 0; first < messages.length; first += PART) {
    await idle();
    parts.push(JSON.stringify(messages.slice(first, first + PART)).slice(1, -1));
  }
  if (key.peek() !== null) await keep(NAME, `[${parts.join()}]`);
}

// Shows what was so last, until the platform can be reached.
async function restore(): Promise<void> {
  const last = await recall(NAME);
  if (!last || world.gateway !== null) return;
  take(JSON.parse(last.text) as Message[]);
  asOf.value = last.at;
}
