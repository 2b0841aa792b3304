import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { inPath, send } from "../lib/api";
import { count, NONE } from "../lib/format";
import { gateway, link, own, peek, things, workers } from "../lib/live";
import { arrange, loadOf, type NodeState, type Sort, STATES, stateOf, tally } from "../lib/nodes";
import type { LiveNode } from "../lib/types";
import { Dialog } from "../ui/dialog";
import { Bar, Empty, Loading, Page, Problem, State, say, type Tone, typed } from "../ui/parts";
import { useEvery } from "../ui/resource";
import { VirtualTable } from "../ui/virtual";

const TONES: Record<NodeState, Tone> = {
  serving: "ok",
  draining: "busy",
  drained: "off",
  ejected: "warn",
  leaving: "warn",
  down: "bad",
};

const COLUMNS = [
  { name: "Node", width: "minmax(8rem,1.4fr)", sort: "name", long: true },
  { name: "State", width: "6.5rem", sort: "state" },
  { name: "Address", width: "minmax(11rem,1fr)" },
  { name: "In flight", width: "4.5rem", number: true },
  { name: "Load", width: "7.5rem", sort: "load" },
  { name: "In memory", width: "minmax(7rem,2fr)", long: true },
  { name: "Breakers", width: "5rem", number: true },
];

export default function Nodes() {
  const nodes = things("nodes");
  const [text, setText] = useState("");
  const [state, setState] = useState<NodeState | "">("");
  const [sort, setSort] = useState<Sort>("name");
  const [chosen, setChosen] = useState<string | null>(null);
  const filter = useRef<HTMLInputElement>(null);
  // What is in the rows is always of now. Which rows there are, in what order, is worked out once a second: a list
  // that is sorted anew at each message can't be read.
  const second = useEvery(1);
  const known = nodes.size > 0;
  // biome-ignore lint/correctness/useExhaustiveDependencies: the clock, and the first snapshot, are what it is worked out for
  const names = useMemo(
    () => arrange(workers(), peek("nodes"), text, state, sort),
    [second, known, text, state, sort],
  );
  // biome-ignore lint/correctness/useExhaustiveDependencies: as above
  const counts = useMemo(() => tally(peek("nodes")), [second, known]);

  useEffect(() => {
    const slash = (event: KeyboardEvent) => {
      if (event.key !== "/" || (event.target as HTMLElement).closest("input, textarea, select, dialog"))
        return;
      event.preventDefault();
      filter.current?.focus();
    };
    addEventListener("keydown", slash);
    return () => removeEventListener("keydown", slash);
  }, []);

  if (!known && link.value.state === "refused") {
    return (
      <Page title="Nodes">
        <Problem error={new Error(link.value.reason)} />
      </Page>
    );
  }
  if (gateway() === null) {
    return (
      <Page title="Nodes">
        <Loading what="the nodes" rows={10} />
      </Page>
    );
  }
  const node = chosen === null ? undefined : nodes.get(chosen);
  return (
    <Page title="Nodes" note={`${count(nodes.size)} nodes; in flight and load are those of ${gateway()}`}>
      <search class="filters">
        <input
          ref={filter}
          type="search"
          placeholder="Name, address or model  ( / )"
          aria-label="Filter by name, address or model"
          value={text}
          onInput={(event) => setText(typed(event))}
        />
        <div class="chips">
          <Chip label="all" number={nodes.size} on={state === ""} pick={() => setState("")} />
          {STATES.filter((one) => counts[one] > 0 || one === state).map((one) => (
            <Chip key={one} label={one} number={counts[one]} on={state === one} pick={() => setState(one)} />
          ))}
        </div>
        <span class="note" role="status">
          {names.length === nodes.size ? "" : `${count(names.length)} shown`}
        </span>
      </search>
      <div class={node ? "split" : ""}>
        <VirtualTable
          label="Nodes"
          columns={COLUMNS}
          names={names}
          sorted={sort}
          sort={(by) => setSort(by as Sort)}
          chosen={chosen}
          choose={(name) => setChosen(name === chosen ? null : name)}
          empty={
            <Empty>
              {nodes.size === 0
                ? "The gateway knows no node yet."
                : "No node is like that. Clear the filter to see all."}
            </Empty>
          }
          value={(name) => nodes.get(name)}
          cells={cells}
        />
        {node && chosen !== null && <Details name={chosen} node={node} close={() => setChosen(null)} />}
      </div>
    </Page>
  );
}

function Chip(props: { label: string; number: number; on: boolean; pick: () => void }) {
  return (
    <button type="button" class="chip" aria-pressed={props.on} onClick={props.pick}>
      {props.label} <b>{count(props.number)}</b>
    </button>
  );
}

function cells(name: string, node: LiveNode | undefined) {
  if (!node)
    return [
      name,
      <State key="state" tone="off">
        gone
      </State>,
      NONE,
      NONE,
      NONE,
      NONE,
      NONE,
    ];
  const state = stateOf(node);
  const load = loadOf(node);
  const loaded = node.loaded ?? [];
  const breakers = Object.keys(node.breakers ?? {}).length;
  return [
    <b key="name">{name}</b>,
    <State key="state" tone={TONES[state]}>
      {state}
    </State>,
    <code key="address">{node.address}</code>,
    count(node.in_flight),
    load === null ? (
      <span class="note">{NONE}</span>
    ) : (
      <span class="load">
        <Bar share={load} label={`load of ${name}`} />
        {Math.round(load * 100)} %
      </span>
    ),
    loaded.length ? loaded.join(", ") : <span class="note">nothing</span>,
    breakers ? (
      <State key="breakers" tone="bad">
        {breakers}
      </State>
    ) : (
      <span class="note">{NONE}</span>
    ),
  ];
}

function Details(props: { name: string; node: LiveNode; close: () => void }) {
  const { name, node } = props;
  const [asking, setAsking] = useState(false);
  const state = stateOf(node);
  const loaded = node.loaded ?? [];
  const others = (own("cluster")?.nodes.taking ?? 0) - (node.takes_requests ? 1 : 0);
  const undrain = () =>
    send("POST", `/api/v1/nodes/${inPath(name)}/undrain`).then(
      () => say(`${name} is taken in again.`),
      (error: Error) => say(`${name}: ${error.message}`, true),
    );
  return (
    <aside class="details" aria-label={`Node ${name}`}>
      <div class="section-head">
        <h2>{name}</h2>
        <button type="button" class="quiet" aria-label="Close the details" onClick={props.close}>
          ×
        </button>
      </div>
      <p>
        <State tone={TONES[state]}>{state}</State>
      </p>
      <dl class="facts narrow">
        <div>
          <dt>Address</dt>
          <dd>
            <code>{node.address}</code>
          </dd>
        </div>
        <div>
          <dt>In flight</dt>
          <dd>
            {count(node.in_flight)} of this gateway's,{" "}
            {node.slots ? `${count(node.slots)} slots for each model` : "slots without limit"}
          </dd>
        </div>
        <div>
          <dt>In memory</dt>
          <dd>
            {loaded.length === 0 && <span class="note">nothing</span>}
            {loaded.map((model) => (
              <div key={model}>{model}</div>
            ))}
          </dd>
        </div>
        <div>
          <dt>Breakers</dt>
          <dd>
            {Object.keys(node.breakers ?? {}).length === 0 && <span class="note">all closed</span>}
            {Object.entries(node.breakers ?? {}).map(([model, how]) => (
              <div key={model}>
                <State tone="bad">
                  {model}: {how}
                </State>
              </div>
            ))}
          </dd>
        </div>
      </dl>
      {node.drained ? (
        <>
          <p class="note">
            {node.in_flight > 0
              ? "It finishes what it has, and gets nothing new."
              : "It has nothing left from this gateway, and gets nothing new. It is empty once that holds at every gateway."}
          </p>
          <button type="button" class="primary" onClick={undrain}>
            Take it in again
          </button>
        </>
      ) : (
        <button type="button" onClick={() => setAsking(true)}>
          Drain…
        </button>
      )}
      {asking && (
        <Dialog
          title={`Drain ${name}?`}
          verb="Drain"
          danger={others === 0}
          act={() =>
            send("POST", `/api/v1/nodes/${inPath(name)}/drain`).then(() =>
              say(`${name} is drained: it gets nothing new.`),
            )
          }
          close={() => setAsking(false)}
        >
          <p>
            It finishes what it has ({count(node.in_flight)} in flight here), and gets nothing new until it is
            taken in again. All gateways know within a second.
          </p>
          {others === 0 ? (
            <p class="problem">No other node takes requests: they will wait, and then fail.</p>
          ) : (
            <p class="note">Other nodes that take requests: {count(others)}.</p>
          )}
        </Dialog>
      )}
    </aside>
  );
}
