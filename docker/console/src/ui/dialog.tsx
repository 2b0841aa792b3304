import type { ComponentChildren } from "preact";
import { useEffect, useId, useRef, useState } from "preact/hooks";
import { explain } from "../lib/api";

interface Props {
  title: string;
  verb: string; // what the button does
  danger?: boolean;
  children: ComponentChildren;
  act: () => Promise<unknown>; // the dialog closes when it is done
  close: () => void;
}

// Asks before something is done. The browser's own dialog keeps the focus in it and hears Escape.
export function Dialog(props: Props) {
  const element = useRef<HTMLDialogElement>(null);
  const title = useId();
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<string | null>(null);
  useEffect(() => element.current?.showModal(), []);
  const submit = async (event: Event) => {
    event.preventDefault();
    setBusy(true);
    setProblem(null);
    try {
      await props.act();
      props.close();
    } catch (error) {
      setProblem(explain(error));
      setBusy(false);
    }
  };
  return (
    <dialog ref={element} aria-labelledby={title} onClose={props.close}>
      <form onSubmit={submit}>
        <h2 id={title}>{props.title}</h2>
        {props.children}
        {problem && (
          <p class="problem" role="alert">
            {problem}
          </p>
        )}
        <div class="actions">
          <button type="button" class="quiet" onClick={props.close}>
            Cancel
          </button>
          <button type="submit" class={props.danger ? "danger" : "primary"} disabled={busy}>
            {busy ? "Working…" : props.verb}
          </button>
        </div>
      </form>
    </dialog>
  );
}
