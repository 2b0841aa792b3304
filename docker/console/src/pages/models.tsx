import { useEffect, useState } from "preact/hooks";
import { inPath, send } from "../lib/api";
import { bytes, count, day, NONE } from "../lib/format";
import { things } from "../lib/live";
import { dismiss, pull, pulls } from "../lib/pulls";
import type { Loads, PlacedModel } from "../lib/types";
import { Dialog } from "../ui/dialog";
import { Bar, Empty, Field, Page, Section, Show, State, say, typed } from "../ui/parts";
import { useResource } from "../ui/resource";
import { numbers, Table } from "../ui/table";
import { Aliases } from "./aliases";

interface List {
  gateway: string;
  models: PlacedModel[];
}

const COLUMNS = [
  ...["Model", "Digest"],
  ...numbers("On disk", "In memory", "Nodes", "Loaded", "Pinned", "In flight", "Waiting"),
  "Changed",
];

export default function Models() {
  const list = useResource<List>("/api/v1/models", 10);
  // What the gateway tells of a model means that there is more to know.
  const told = [...things("models")]
    .map(([name, { digest, nodes, loaded }]) => `${name} ${digest} ${nodes} ${loaded}`)
    .join();
  const { reload } = list;
  // biome-ignore lint/correctness/useExhaustiveDependencies: what was told is what it is asked again for
  useEffect(() => {
    const timer = setTimeout(reload, 300);
    return () => clearTimeout(timer);
  }, [told, reload]);
  const [open, setOpen] = useState<string | null>(null);
  return (
    <Page
      title="Models"
      note={list.answer && `In flight and waiting are those of ${list.answer.data.gateway}.`}
    >
      <Pulling done={reload} />
      <Section title="Placement">
        <Show
          resource={list}
          what="the models"
          then={({ models }) =>
            models.length === 0 ? (
              <Empty>No node holds a model. Pull one above.</Empty>
            ) : (
              <Table columns={COLUMNS}>
                <tbody>
                  {models.map((model) => (
                    <Row
                      key={model.id}
                      model={model}
                      open={open === model.id}
                      toggle={() => setOpen(open === model.id ? null : model.id)}
                      reload={reload}
                    />
                  ))}
                </tbody>
              </Table>
            )
          }
        />
      </Section>
      <Aliases models={(list.answer?.data.models ?? []).map(({ id }) => id)} />
    </Page>
  );
}

function Row(props: { model: PlacedModel; open: boolean; toggle: () => void; reload: () => void }) {
  const { model } = props;
  return (
    <>
      <tr>
        <th scope="row">
          <button type="button" class="expand" aria-expanded={props.open} onClick={props.toggle}>
            {model.id}
          </button>
        </th>
        <td>
          <code title={model.digest}>{model.digest.replace("sha256:", "").slice(0, 12)}</code>
        </td>
        <td class="number">{bytes(model.size_bytes)}</td>
        <td class="number" title={model.memory_bytes ? undefined : "It has not been in memory yet."}>
          {model.memory_bytes ? bytes(model.memory_bytes) : NONE}
        </td>
        <td class="number">{count(model.nodes.length)}</td>
        <td class="number">{count(model.loaded.length)}</td>
        <td class="number">{count(model.pinned.length)}</td>
        <td class="number">{count(model.in_flight)}</td>
        <td class="number">{count(model.waiting)}</td>
        <td>{day(model.modified_at)}</td>
      </tr>
      {props.open && (
        <tr class="detail">
          <td colSpan={10}>
            <Placement {...props} />
          </td>
        </tr>
      )}
    </>
  );
}

const SHOWN = 60; // nodes of a model; the page Nodes finds the others

function Placement(props: { model: PlacedModel; reload: () => void }) {
  const { model } = props;
  const [asking, setAsking] = useState<"preload" | "unload" | null>(null);
  const [copies, setCopies] = useState(String(Math.max(1, model.loaded.length)));
  const [keep, setKeep] = useState(false);
  const path = `/api/v1/models/${inPath(model.id)}`;
  const act = async (verb: "preload" | "unload", body: unknown) => {
    const done = await send<Loads>("POST", `${path}/${verb}`, body);
    say(
      `${model.id}: ${verb === "preload" ? "in memory on" : "let go of by"} ${done.nodes.map(({ node }) => node).join(", ") || "no node"}.`,
    );
    props.reload();
  };
  return (
    <div class="placement">
      <ul class="places">
        {model.nodes.slice(0, SHOWN).map((node) => {
          const loaded = model.loaded.includes(node);
          const pinned = model.pinned.includes(node);
          return (
            <li key={node}>
              <State tone={loaded ? "ok" : pinned ? "busy" : "off"}>
                {node} {loaded ? "in memory" : pinned ? "being loaded" : "on disk"}
                {pinned && loaded ? ", pinned" : ""}
              </State>
            </li>
          );
        })}
        {model.nodes.length > SHOWN && <li class="note">and {count(model.nodes.length - SHOWN)} more</li>}
      </ul>
      <div class="actions">
        <button type="button" onClick={() => setAsking("preload")}>
          Preload…
        </button>
        <button
          type="button"
          disabled={model.loaded.length + model.pinned.length === 0}
          onClick={() => setAsking("unload")}
        >
          Unload…
        </button>
      </div>
      {asking === "preload" && (
        <Dialog
          title={`Preload ${model.id}`}
          verb="Preload"
          act={() => act("preload", { copies: Number(copies) || 1, keep })}
          close={() => setAsking(null)}
        >
          <p class="note">It is loaded on the nodes that suit it best; models that are idle make way.</p>
          <Field label="On how many nodes">
            <input type="number" min={1} value={copies} onInput={(event) => setCopies(typed(event))} />
          </Field>
          <label class="check">
            <input
              type="checkbox"
              checked={keep}
              onChange={(event) => setKeep(event.currentTarget.checked)}
            />
            Keep it there always, after restarts too
          </label>
        </Dialog>
      )}
      {asking === "unload" && (
        <Dialog
          title={`Unload ${model.id}?`}
          verb="Unload"
          act={() => act("unload", {})}
          close={() => setAsking(null)}
        >
          <p>
            All nodes let go of it as soon as they have answered what they were asked, and it is pinned
            nowhere any more. The next request for it has it loaded again.
          </p>
        </Dialog>
      )}
    </div>
  );
}

function Pulling(props: { done: () => void }) {
  const [name, setName] = useState("");
  const submit = (event: Event) => {
    event.preventDefault();
    const model = name.trim();
    if (!model) return;
    setName("");
    void pull(model, props.done);
  };
  return (
    <Section title="Pull" note="all nodes download it">
      <form class="line" onSubmit={submit}>
        <input
          type="text"
          aria-label="Model to pull"
          placeholder="llama3.1:8b"
          spellcheck={false}
          autocomplete="off"
          value={name}
          onInput={(event) => setName(typed(event))}
        />
        <button type="submit" class="primary" disabled={!name.trim()}>
          Pull
        </button>
      </form>
      {pulls.value.length > 0 && (
        <ul class="pulls" aria-label="Pulls">
          {pulls.value.map((one) => (
            <li key={one.model}>
              <b>{one.model}</b>
              <State
                tone={
                  one.state === "done"
                    ? "ok"
                    : one.state === "failed"
                      ? "bad"
                      : one.state === "stopped"
                        ? "off"
                        : "busy"
                }
              >
                {one.status}
              </State>
              {one.state === "running" && one.total > 0 && (
                <>
                  <Bar share={one.completed / one.total} label={`download of ${one.model}`} />
                  <span class="number">
                    {bytes(one.completed)} of {bytes(one.total)}
                  </span>
                </>
              )}
              {one.state === "running" ? (
                <button type="button" class="quiet" onClick={one.stop}>
                  Stop
                </button>
              ) : (
                <button
                  type="button"
                  class="quiet"
                  aria-label={`Forget the pull of ${one.model}`}
                  onClick={() => dismiss(one.model)}
                >
                  ×
                </button>
              )}
            </li>
          ))}
        </ul>
      )}
    </Section>
  );
}
