import { useState } from "preact/hooks";
import { send } from "../lib/api";
import { ago, count, day, NONE } from "../lib/format";
import type { Key } from "../lib/types";
import { Dialog } from "../ui/dialog";
import { Empty, Page, Section, Show, State, say } from "../ui/parts";
import { useEvery, useResource } from "../ui/resource";
import { ACTIONS, numbers, Table } from "../ui/table";
import { type Made, Make, Rotate } from "./making";

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
  const [secret, setSecret] = useState<Made | null>(null);
  const show = (made: Made) => {
    setSecret(made);
    list.reload();
  };
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
      {secret && <Secret made={secret} close={() => setSecret(null)} />}
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
      {making && <Make close={() => setMaking(false)} done={show} />}
      {rotating && <Rotate of={rotating} close={() => setRotating(null)} done={show} />}
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

const COLUMNS = [
  ...["Name", "Tenant", "State", "Scopes"],
  ...numbers("Requests/min", "Tokens/min", "Tokens/month"),
  ...["Priority", "Last used", "Ends"],
  ACTIONS,
];

function List(props: { keys: readonly Key[]; rotate: (key: Key) => void; revoke: (key: Key) => void }) {
  const now = useEvery(10);
  return (
    <Table columns={COLUMNS}>
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
              <td class="whole">{key.expires_at ? day(key.expires_at) : <span class="note">never</span>}</td>
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
    </Table>
  );
}

function Secret(props: { made: Made; close: () => void }) {
  const { key, secret } = props.made;
  const copy = () =>
    navigator.clipboard.writeText(secret).then(
      () => say("Copied."),
      () => say("The browser does not let it be copied: select it by hand.", true),
    );
  return (
    <div class="secret" role="alert">
      <p>
        The secret of <b>{key.name}</b>. It is shown this once:
      </p>
      <code>{secret}</code>
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
