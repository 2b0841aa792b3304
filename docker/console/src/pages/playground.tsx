import { useEffect, useRef, useState } from "preact/hooks";
import { ask, explain, lines } from "../lib/api";
import { count, seconds, short } from "../lib/format";
import type { ChatPiece } from "../lib/types";
import { Field, Page, Problem, typed } from "../ui/parts";
import { useResource } from "../ui/resource";

interface Turn {
  id: number;
  role: "user" | "assistant";
  content: string;
  thinking?: string;
  facts?: string; // what is known of the answer
  problem?: string;
}

export default function Playground() {
  const tags = useResource<{ models: { name: string; alias_of?: string }[] }>("/api/tags");
  const models = tags.answer?.data.models ?? [];
  const [model, setModel] = useState("");
  const [system, setSystem] = useState("");
  const [temperature, setTemperature] = useState("");
  const [longest, setLongest] = useState("");
  const [turns, setTurns] = useState<Turn[]>([]);
  const [draft, setDraft] = useState("");
  const [running, setRunning] = useState<AbortController | null>(null);
  const log = useRef<HTMLDivElement>(null);
  const follows = useRef(true); // the reader is at the end, and stays there
  const asked = model || models[0]?.name || "";

  // biome-ignore lint/correctness/useExhaustiveDependencies: whatever is said moves the end
  useEffect(() => {
    if (follows.current) log.current?.scrollTo(0, log.current.scrollHeight);
  }, [turns]);
  useEffect(() => () => running?.abort(), [running]);

  const submit = async (event: Event) => {
    event.preventDefault();
    const text = draft.trim();
    if (!text || !asked || running) return;
    const stopping = new AbortController();
    const id = turns.length;
    const before: Turn[] = [...turns, { id, role: "user", content: text }];
    let answer: Turn = { id: id + 1, role: "assistant", content: "" };
    let painting = 0;
    // A paint a frame, however fast the pieces come.
    const paint = () => {
      if (painting) return;
      painting = requestAnimationFrame(() => {
        painting = 0;
        setTurns([...before, answer]);
      });
    };
    setDraft("");
    setRunning(stopping);
    follows.current = true;
    paint();
    const started = performance.now();
    try {
      const response = await ask(
        "POST",
        "/api/chat",
        {
          model: asked,
          messages: [
            ...(system.trim() ? [{ role: "system", content: system }] : []),
            ...before.filter(({ problem }) => !problem).map(({ role, content }) => ({ role, content })),
          ],
          options: {
            ...(temperature ? { temperature: Number(temperature) } : {}),
            ...(longest ? { num_predict: Number(longest) } : {}),
          },
        },
        stopping.signal,
      );
      let first: number | null = null;
      for await (const piece of lines<ChatPiece>(response)) {
        if (piece.error) throw new Error(piece.error);
        first ??= (performance.now() - started) / 1000;
        answer = {
          ...answer,
          content: answer.content + (piece.message?.content ?? ""),
          thinking: (answer.thinking ?? "") + (piece.message?.thinking ?? ""),
          ...(piece.done ? { facts: facts(response, piece, first) } : {}),
        };
        paint();
      }
    } catch (error) {
      answer = stopping.signal.aborted
        ? { ...answer, facts: "stopped" }
        : { ...answer, problem: explain(error) };
      paint();
    }
    setRunning(null);
  };

  return (
    <Page
      title="Playground"
      note="A conversation over /api/chat, as any client has it."
      actions={
        <button type="button" disabled={turns.length === 0 || running !== null} onClick={() => setTurns([])}>
          Begin anew
        </button>
      }
    >
      {Boolean(tags.error) && <Problem error={tags.error} retry={tags.reload} />}
      <div class="playground">
        <div class="settings">
          <Field label="Model">
            <select value={asked} onChange={(event) => setModel(typed(event))}>
              {models.length === 0 && <option value="">{tags.loading ? "loading…" : "none is there"}</option>}
              {models.map(({ name, alias_of }) => (
                <option key={name} value={name}>
                  {alias_of ? `${name} → ${alias_of}` : name}
                </option>
              ))}
            </select>
          </Field>
          <Field label="System prompt">
            <textarea rows={4} value={system} onInput={(event) => setSystem(typed(event))} />
          </Field>
          <Field label="Temperature" hint="empty: the model's own">
            <input
              type="number"
              min={0}
              max={2}
              step={0.1}
              value={temperature}
              onInput={(event) => setTemperature(typed(event))}
            />
          </Field>
          <Field label="Tokens at most" hint="empty: the model's own">
            <input type="number" min={1} value={longest} onInput={(event) => setLongest(typed(event))} />
          </Field>
        </div>
        <div class="chat">
          <div
            ref={log}
            class="log"
            role="log"
            aria-label="Conversation"
            aria-busy={running !== null}
            // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls is to be scrolled by keys too
            tabIndex={0}
            onScroll={({ currentTarget: { scrollTop, scrollHeight, clientHeight } }) => {
              follows.current = scrollHeight - scrollTop - clientHeight < 40;
            }}
          >
            {turns.length === 0 && (
              <p class="note">Say something below. Enter sends, Shift+Enter begins a line.</p>
            )}
            {turns.map((turn) => (
              <article key={turn.id} class={turn.role} aria-label={turn.role === "user" ? "You" : asked}>
                {turn.thinking && (
                  <details>
                    <summary>What it thought</summary>
                    {turn.thinking}
                  </details>
                )}
                <p>{turn.content || (turn.problem || turn.facts ? "" : "…")}</p>
                {turn.problem && (
                  <p class="problem" role="alert">
                    {turn.problem}
                  </p>
                )}
                {turn.facts && <footer>{turn.facts}</footer>}
              </article>
            ))}
          </div>
          <form onSubmit={submit}>
            <textarea
              rows={3}
              aria-label="Message"
              placeholder="Message"
              value={draft}
              onInput={(event) => setDraft(typed(event))}
              onKeyDown={(event) => {
                if (event.key === "Enter" && !event.shiftKey && !event.isComposing) void submit(event);
              }}
            />
            {running ? (
              <button type="button" onClick={() => running.abort()}>
                Stop
              </button>
            ) : (
              <button type="submit" class="primary" disabled={!draft.trim() || !asked}>
                Send
              </button>
            )}
          </form>
        </div>
      </div>
    </Page>
  );
}

// What the platform and the model say of an answer, and how long its first piece took.
function facts(response: Response, last: ChatPiece, first: number): string {
  const node = response.headers.get("X-Ollamamax-Node");
  const answered = response.headers.get("X-Ollamamax-Model");
  const cache = response.headers.get("X-Ollamamax-Cache");
  const speed = last.eval_count && last.eval_duration ? last.eval_count / (last.eval_duration / 1e9) : null;
  return [
    `first piece after ${seconds(first)}`,
    last.eval_count === undefined ? null : `${count(last.eval_count)} tokens`,
    speed === null ? null : `${short(speed)} tokens/s at the model`,
    answered ? `by ${answered}` : null,
    node ? `on ${node}` : null,
    cache ? `cache: ${cache}` : null,
    last.done_reason === "length" ? "cut off at its longest" : null,
  ]
    .filter(Boolean)
    .join(" · ");
}
