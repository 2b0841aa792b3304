import type { ComponentType } from "preact";
import { useEffect, useState } from "preact/hooks";
import { Loading, Problem } from "./parts";

// A page that comes in a file of its own, when somebody first wants to see it.
export function lazy(load: () => Promise<{ default: ComponentType }>): ComponentType {
  let loaded: ComponentType | null = null;
  return function Lazy() {
    const [, again] = useState(0);
    const [error, setError] = useState<unknown>(null);
    const [attempt, setAttempt] = useState(0);
    // biome-ignore lint/correctness/useExhaustiveDependencies: another attempt loads once more
    useEffect(() => {
      if (loaded) return;
      let wanted = true;
      load().then(
        (module) => {
          loaded = module.default;
          if (wanted) again((times) => times + 1);
        },
        () =>
          wanted &&
          setError(
            new Error(
              "This page could not be loaded: the platform can't be reached, or has a newer console.",
            ),
          ),
      );
      return () => {
        wanted = false;
      };
    }, [attempt]);
    if (loaded) {
      const Loaded = loaded;
      return <Loaded />;
    }
    if (!error) return <Loading what="the page" rows={6} />;
    const retry = () => {
      setError(null);
      setAttempt(attempt + 1);
    };
    return <Problem error={error} retry={retry} />;
  };
}
