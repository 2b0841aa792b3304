import { signal } from "@preact/signals";
import { ask, explain, lines } from "./api";
import type { Progress } from "./types";

export interface Pull {
  model: string;
  status: string;
  completed: number; // bytes of the layer that is being loaded
  total: number; // 0: not known
  state: "running" | "done" | "failed" | "stopped";
  stop: () => void;
}

// What is being pulled. It goes on when the page is left for another.
export const pulls = signal<readonly Pull[]>([]);

// What a line of progress makes of a pull.
export function progressed(pull: Pull, line: Progress): Pull {
  if (line.error) return { ...pull, status: line.error, state: "failed" };
  const status = line.status ?? pull.status;
  const next = { ...pull, status, completed: line.completed ?? 0, total: line.total ?? 0 };
  return status === "success" ? { ...next, state: "done" } : next;
}

const put = (model: string, change: (pull: Pull) => Pull): void => {
  pulls.value = pulls.value.map((pull) => (pull.model === model ? change(pull) : pull));
};

export async function pull(model: string, done: () => void): Promise<void> {
  const stopping = new AbortController();
  const begun: Pull = {
    model,
    status: "asking the nodes",
    completed: 0,
    total: 0,
    state: "running",
    stop: () => stopping.abort(),
  };
  pulls.value = [...pulls.value.filter((other) => other.model !== model), begun];
  try {
    const answer = await ask("POST", "/api/pull", { model }, stopping.signal);
    for await (const line of lines<Progress>(answer)) put(model, (before) => progressed(before, line));
    put(model, (before) =>
      before.state === "running" ? { ...before, state: "failed", status: "the answer broke off" } : before,
    );
  } catch (error) {
    put(model, (before) =>
      stopping.signal.aborted
        ? { ...before, state: "stopped", status: "stopped" }
        : { ...before, state: "failed", status: explain(error) },
    );
  }
  done();
}

export function dismiss(model: string): void {
  pulls.value = pulls.value.filter((pull) => pull.model !== model);
}
