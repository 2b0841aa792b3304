import { useState } from "preact/hooks";
import { send } from "../lib/api";
import { ago, count, day, NONE } from "../lib/format";
import { type Key, PRIORITIES, SCOPES, type Scope } from "../lib/types";
import { Dialog } from "../ui/dialog";
import { Empty, Field, Page, Section, Show, State, say, typed } from "../ui/parts";
import { useEvery, useResource } from "../ui/resource";

const PAGE = 100;

export default function Keys() {
  const [revoked, setRevoked] = useState(false);
  const [pages, setPages] = useState<string[]>([]); // where each page but the first begins
  const after = pages.at(-1);
  const path = `/api/v1/keys?limit=${PAGE}${revoked ? "&revoked=true" : ""}${after ? `&after=${after}` : ""}`;
  const list = useResource<{ keys: Key[]; next: string | null }>(path, 30);
  const [making, setMaking] = useState(false);
  const [revoking, setRevoking] = useState<Key | null>(null);
  const [rotating, setRotating] = useState<Key | null>(null);
  const [secret, setSecret] = useState<{ key: Key; secret: string } | null>(null);
  return (
    <Page
      title="Keys"
      note="Secrets are shown once, when they are made."
      actions={
        <button type="button" class="primary" onClick={() => setMaking(true)}>
          New key…
        </button>
      }
    >
      {secret && <Secret {...secret} close={() => setSecret(null)} />}
      <Section
        title={revoked ? "All keys" : "Keys in use"}
        actions={
          <label class="check">
            <input
              type="checkbox"
              checked={revoked}
              onChange={(event) => {
                setRevoked(event.currentTarget.checked);
                setPages([]);
              }}
            />
            revoked ones too
          </label>
        }
      >
        <Show
          resource={list}
          what="the keys"
          then={({ keys, next }) => (
            <>
              {keys.length === 0 ? (
                <Empty>There is no key here.</Empty>
              ) : (
                <List keys={keys} rotate={setRotating} revoke={setRevoking} />
              )}
              {(pages.length > 0 || next) && (
                <div class="pager">
                  <button
                    type="button"
                    disabled={pages.length === 0}
                    onClick={() => setPages(pages.slice(0, -1))}
                  >
                    Back
                  </button>
                  <span class="note">page {pages.length + 1}</span>
                  <button type="button" disabled={!next} onClick={() => next && setPages([...pages, next])}>
                    On
                  </button>
                </div>
              )}
            </>
          )}
        />
      </Section>
      {making && (
        <Make
          close={() => setMaking(false)}
          done={(made) => {
            setSecret(made);
            list.reload();
          }}
        />
      )}
      {rotating && (
        <Rotate
          of={rotating}
          close={() => setRotating(null)}
          done={(made) => {
            setSecret(made);
            list.reload();
          }}
        />
      )}
      {revoking && (
        <Dialog
          title={`Revoke ${revoking.name}?`}
          verb="Revoke"
          danger
          act={() =>
            send("DELETE", `/api/v1/keys/${revoking.id}`).then(() => {
              say(`${revoking.name} is revoked.`);
              list.reload();
            })
          }
          close={() => setRevoking(null)}
        >
          <p>It is refused within a second, at all gateways, and stays so.</p>
        </Dialog>
      )}
    </Page>
  );
}

const limit = (value: number | null) => (value === null ? <span class="note">no limit</span> : count(value));

function List(props: { keys: readonly Key[]; rotate: (key: Key) => void; revoke: (key: Key) => void }) {
  const now = useEvery(10);
  return (
    <div class="scroll">
      <table>
        <thead>
          <tr>
            <th scope="col">Name</th>
            <th scope="col">Tenant</th>
            <th scope="col">State</th>
            <th scope="col">Scopes</th>
            <th scope="col" class="number">
              Requests/min
            </th>
            <th scope="col" class="number">
              Tokens/min
            </th>
            <th scope="col" class="number">
              Tokens/month
            </th>
            <th scope="col">Priority</th>
            <th scope="col">Last used</th>
            <th scope="col">Ends</th>
            <th scope="col">
              <span class="unseen">Actions</span>
            </th>
          </tr>
        </thead>
        <tbody>
          {props.keys.map((key) => {
            const over = key.expires_at !== null && Date.parse(key.expires_at) <= now;
            return (
              <tr key={key.id}>
                <th scope="row">{key.name}</th>
                <td class="whole">{key.tenant || <span class="note">the platform</span>}</td>
                <td>
                  {key.revoked_at ? (
                    <State tone="off">revoked</State>
                  ) : over ? (
                    <State tone="warn">expired</State>
                  ) : (
                    <State tone="ok">good</State>
                  )}
                </td>
                <td>{key.scopes.join(", ")}</td>
                <td class="number">{limit(key.requests_per_minute)}</td>
                <td class="number">{limit(key.tokens_per_minute)}</td>
                <td class="number">{limit(key.tokens_per_month)}</td>
                <td>{key.priority}</td>
                <td class="whole">{key.last_used_at ? ago(key.last_used_at, now) : NONE}</td>
                <td class="whole">
                  {key.expires_at ? day(key.expires_at) : <span class="note">never</span>}
                </td>
                <td class="actions">
                  {key.source === "stack" ? (
                    <span class="note">set by the stack</span>
                  ) : key.revoked_at ? null : (
                    <>
                      <button
                        type="button"
                        class="quiet"
                        aria-label={`Rotate ${key.name}`}
                        onClick={() => props.rotate(key)}
                      >
                        Rotate…
                      </button>
                      <button
                        type="button"
                        class="quiet"
                        aria-label={`Revoke ${key.name}`}
                        onClick={() => props.revoke(key)}
                      >
                        Revoke…
                      </button>
                    </>
                  )}
                </td>
              </tr>
            );
          })}
        </tbody>
      </table>
    </div>
  );
}

function Secret(props: { key: Key; secret: string; close: () => void }) {
  const copy = () =>
    navigator.clipboard.writeText(props.secret).then(
      () => say("Copied."),
      () => say("The browser does not let it be copied: select it by hand.", true),
    );
  return (
    <div class="secret" role="alert">
      <p>
        The secret of <b>{props.key.name}</b>. It is shown this once:
      </p>
      <code>{props.secret}</code>
      <div class="actions">
        <button type="button" onClick={copy}>
          Copy
        </button>
        <button type="button" class="quiet" onClick={props.close}>
          I have it
        </button>
      </div>
    </div>
  );
}

interface Made {
  key: Key;
  secret: string;
}

const whole = (text: string): number | null => (text.trim() ? Number(text) : null);

function Make(props: { close: () => void; done: (made: Made) => void }) {
  const [name, setName] = useState("");
  const [tenant, setTenant] = useState("");
  const [scopes, setScopes] = useState<Scope[]>(["inference", "models:read"]);
  const [priority, setPriority] = useState<string>("normal");
  const [requests, setRequests] = useState("");
  const [tokens, setTokens] = useState("");
  const [budget, setBudget] = useState("");
  const [end, setEnd] = useState("");
  const act = async () => {
    const spec = {
      name: name.trim(),
      scopes,
      priority,
      requests_per_minute: whole(requests),
      tokens_per_minute: whole(tokens),
      tokens_per_month: whole(budget),
      expires_at: end ? `${end}T00:00:00Z` : null,
      ...(tenant.trim() ? { tenant: tenant.trim() } : {}),
    };
    props.done(await send<Made>("POST", "/api/v1/keys", spec));
  };
  return (
    <Dialog title="New key" verb="Make it" act={act} close={props.close}>
      <div class="two">
        <Field label="Name">
          <input
            type="text"
            required
            maxLength={100}
            value={name}
            onInput={(event) => setName(typed(event))}
          />
        </Field>
        <Field label="Tenant" hint="empty: your own">
          <input type="text" value={tenant} onInput={(event) => setTenant(typed(event))} />
        </Field>
      </div>
      <fieldset>
        <legend>Scopes</legend>
        <div class="checks">
          {SCOPES.map((scope) => (
            <label class="check" key={scope}>
              <input
                type="checkbox"
                checked={scopes.includes(scope)}
                onChange={(event) =>
                  setScopes(
                    SCOPES.filter((one) =>
                      one === scope ? event.currentTarget.checked : scopes.includes(one),
                    ),
                  )
                }
              />
              {scope}
            </label>
          ))}
        </div>
      </fieldset>
      <div class="three">
        <Field label="Requests a minute" hint="empty: no limit">
          <input type="number" min={1} value={requests} onInput={(event) => setRequests(typed(event))} />
        </Field>
        <Field label="Tokens a minute" hint="empty: no limit">
          <input type="number" min={1} value={tokens} onInput={(event) => setTokens(typed(event))} />
        </Field>
        <Field label="Tokens a month" hint="empty: no limit">
          <input type="number" min={1} value={budget} onInput={(event) => setBudget(typed(event))} />
        </Field>
      </div>
      <div class="two">
        <Field label="Priority" hint="how soon it gets a slot where others wait">
          <select value={priority} onChange={(event) => setPriority(typed(event))}>
            {PRIORITIES.map((one) => (
              <option key={one}>{one}</option>
            ))}
          </select>
        </Field>
        <Field label="Ends" hint="empty: never; the day begins in UTC">
          <input type="date" value={end} onInput={(event) => setEnd(typed(event))} />
        </Field>
      </div>
    </Dialog>
  );
}

const GRACES = ["0s", "1h", "24h", "168h", "720h"];

function Rotate(props: { of: Key; close: () => void; done: (made: Made) => void }) {
  const [grace, setGrace] = useState("24h");
  const act = async () =>
    props.done(await send<Made>("POST", `/api/v1/keys/${props.of.id}/rotate`, { grace }));
  return (
    <Dialog title={`Rotate ${props.of.name}`} verb="Rotate" act={act} close={props.close}>
      <Field label="The old secret works for" hint="one from before that, no longer">
        <select value={grace} onChange={(event) => setGrace(typed(event))}>
          {GRACES.map((one) => (
            <option key={one} value={one}>
              {one === "0s"
                ? "not at all"
                : one
                    .replace("168h", "a week")
                    .replace("720h", "30 days")
                    .replace("h", " hours")
                    .replace(/^1 hours/, "an hour")}
            </option>
          ))}
        </select>
      </Field>
    </Dialog>
  );
}
