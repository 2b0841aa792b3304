import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { type Answer, get } from "../lib/api";
import { connections } from "../lib/live";

export interface Resource<T> {
  answer: Answer<T> | null; // the last one, while another is on its way
  error: unknown;
  loading: boolean;
  reload: () => void;
}

// What a GET answers, asked again every so many seconds while somebody looks. A path of null asks nothing.
export function useResource<T>(path: string | null, everyS = 0): Resource<T> {
  const [state, setState] = useState<{ path: string | null; answer: Answer<T> | null; error: unknown }>({
    path: null,
    answer: null,
    error: null,
  });
  const [loading, setLoading] = useState(path !== null);
  const asked = useRef<AbortController | null>(null);

  const reload = useCallback(() => {
    if (path === null) return;
    asked.current?.abort();
    const asking = new AbortController();
    asked.current = asking;
    setLoading(true);
    get<T>(path, asking.signal)
      .then(
        (answer) => !asking.signal.aborted && setState({ path, answer, error: null }),
        (error) =>
          !asking.signal.aborted &&
          setState((before) => ({ path, answer: before.path === path ? before.answer : null, error })),
      )
      .finally(() => !asking.signal.aborted && setLoading(false));
  }, [path]);

  const times = connections.value;
  const missed = times > 0 && (state.error !== null || state.answer?.fresh === false);
  // biome-ignore lint/correctness/useExhaustiveDependencies: a new connection is what it is asked again for
  useEffect(() => {
    if (missed) reload();
  }, [times]);

  useEffect(() => {
    reload();
    const timer = everyS ? setInterval(() => document.hidden || reload(), everyS * 1000) : undefined;
    return () => {
      clearInterval(timer);
      asked.current?.abort();
    };
  }, [reload, everyS]);

  return { answer: state.path === path ? state.answer : null, error: state.error, loading, reload };
}

// Calls again and again, for what changes with time alone.
export function useEvery(seconds: number): number {
  const [now, setNow] = useState(Date.now);
  useEffect(() => {
    const timer = setInterval(() => document.hidden || setNow(Date.now()), seconds * 1000);
    return () => clearInterval(timer);
  }, [seconds]);
  return now;
}
