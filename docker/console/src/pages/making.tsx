import { useState } from "preact/hooks";
import { send } from "../lib/api";
import { type Key, PRIORITIES, SCOPES, type Scope } from "../lib/types";
import { Dialog } from "../ui/dialog";
import { Field, typed } from "../ui/parts";

// A key that has just been made, with the secret that is shown once.
export interface Made {
  key: Key;
  secret: string;
}

const whole = (text: string): number | null => (text.trim() ? Number(text) : null);

export function Make(props: { close: () => void; done: (made: Made) => void }) {
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

const GRACES = { "0s": "not at all", "1h": "an hour", "24h": "a day", "168h": "a week", "720h": "30 days" };

export function Rotate(props: { of: Key; close: () => void; done: (made: Made) => void }) {
  const [grace, setGrace] = useState("24h");
  const act = async () =>
    props.done(await send<Made>("POST", `/api/v1/keys/${props.of.id}/rotate`, { grace }));
  return (
    <Dialog title={`Rotate ${props.of.name}`} verb="Rotate" act={act} close={props.close}>
      <Field label="The old secret works for" hint="one from before that, no longer">
        <select value={grace} onChange={(event) => setGrace(typed(event))}>
          {Object.entries(GRACES).map(([time, words]) => (
            <option key={time} value={time}>
              {words}
            </option>
          ))}
        </select>
      </Field>
    </Dialog>
  );
}
