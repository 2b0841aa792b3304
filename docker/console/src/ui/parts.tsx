import { signal } from "@preact/signals";
import type { ComponentChildren, TargetedEvent } from "preact";
import { useEffect } from "preact/hooks";
import { type Answer, explain, Failure } from "../lib/api";
import { clock } from "../lib/format";
import type { Resource } from "./resource";

// A page: its title is the window's and the first thing that is read out.
export function Page(props: {
  title: string;
  note?: ComponentChildren;
  actions?: ComponentChildren;
  children: ComponentChildren;
}) {
  useEffect(() => {
    document.title = `${props.title} · OllamaMax`;
  }, [props.title]);
  return (
    <>
      <header class="page-head">
        <div>
          <h1 tabIndex={-1}>{props.title}</h1>
          {props.note && <p class="note">{props.note}</p>}
        </div>
        {props.actions && <div class="actions">{props.actions}</div>}
      </header>
      {props.children}
    </>
  );
}

export function Section(props: {
  title: string;
  note?: ComponentChildren;
  actions?: ComponentChildren;
  children: ComponentChildren;
}) {
  return (
    <section>
      <div class="section-head">
        <h2>{props.title}</h2>
        {props.note && <span class="note">{props.note}</span>}
        {props.actions && <div class="actions">{props.actions}</div>}
      </div>
      {props.children}
    </section>
  );
}

export function Loading(props: { rows?: number; what: string }) {
  return (
    <div class="skeleton" role="status">
      <span class="unseen">Loading {props.what}</span>
      {Array.from({ length: props.rows ?? 4 }, (_, index) => (
        <i key={index} />
      ))}
    </div>
  );
}

export function Empty(props: { children: ComponentChildren }) {
  return <div class="empty">{props.children}</div>;
}

export function Problem(props: { error: unknown; retry?: () => void }) {
  const { error } = props;
  const scope = error instanceof Failure && error.status === 403;
  return (
    <div class={`problem ${scope ? "calm" : ""}`} role={scope ? "note" : "alert"}>
      <p>{explain(error)}</p>
      {scope && <p class="note">Sign in with a key that has the scope, or have one made on the page Keys.</p>}
      {props.retry && !scope && (
        <button type="button" onClick={props.retry}>
          Try again
        </button>
      )}
    </div>
  );
}

// A resource in each of its states; `then` shows it once it is there.
export function Show<T>(props: {
  resource: Resource<T>;
  what: string;
  rows?: number;
  then: (data: T) => ComponentChildren;
}) {
  const { answer, error, loading, reload } = props.resource;
  if (!answer) {
    return error && !loading ? (
      <Problem error={error} retry={reload} />
    ) : (
      <Loading what={props.what} rows={props.rows ?? 4} />
    );
  }
  return (
    <>
      {Boolean(error) && <Problem error={error} retry={reload} />}
      <Stale answer={answer} />
      {props.then(answer.data)}
    </>
  );
}

function Stale(props: { answer: Answer<unknown> }) {
  if (props.answer.fresh) return null;
  return <p class="stale">As it was at {clock(props.answer.at)}: the platform can't be reached.</p>;
}

export type Tone = "ok" | "warn" | "bad" | "off" | "busy";

// A state by shape and word; colour only repeats it.
export function State(props: { tone: Tone; children: ComponentChildren }) {
  return (
    <span class={`state ${props.tone}`}>
      <i aria-hidden="true" />
      {props.children}
    </span>
  );
}

export function Field(props: { label: string; hint?: ComponentChildren; children: ComponentChildren }) {
  return (
    <div class="field">
      {/* biome-ignore lint/a11y/noLabelWithoutControl: the control is among the children */}
      <label>
        <span>{props.label}</span>
        {props.children}
      </label>
      {props.hint && <small>{props.hint}</small>}
    </div>
  );
}

export function Bar(props: { share: number; label: string }) {
  const share = Math.min(1, Math.max(0, props.share));
  return (
    <span class="bar" role="img" aria-label={`${props.label}: ${Math.round(props.share * 100)} %`}>
      <i style={{ width: `${share * 100}%` }} />
    </span>
  );
}

interface Said {
  text: string;
  bad: boolean;
}

const said = signal<Said | null>(null);
let fading: ReturnType<typeof setTimeout> | undefined;

// Says what became of something that was asked for.
export function say(text: string, bad = false): void {
  said.value = { text, bad };
  clearTimeout(fading);
  fading = setTimeout(
    () => {
      said.value = null;
    },
    bad ? 12_000 : 5_000,
  );
}

export function Said() {
  return (
    <div class="said" role="status" aria-live="polite">
      {said.value && (
        <p class={said.value.bad ? "bad" : ""}>
          {said.value.text}
          <button
            type="button"
            class="quiet"
            aria-label="Close this message"
            onClick={() => {
              said.value = null;
            }}
          >
            ×
          </button>
        </p>
      )}
    </div>
  );
}

export const typed = (
  event: TargetedEvent<HTMLInputElement | HTMLSelectElement | HTMLTextAreaElement>,
): string => event.currentTarget.value;
