import { useEffect, useState } from "preact/hooks";
import { inPath, send } from "../lib/api";
import { day } from "../lib/format";
import { things } from "../lib/live";
import type { Alias, Target } from "../lib/types";
import { Dialog } from "../ui/dialog";
import { Empty, Field, Section, Show, say, typed } from "../ui/parts";
import { useResource } from "../ui/resource";
import { ACTIONS, Table } from "../ui/table";

const shareOf = (target: Target, targets: readonly Target[]): string => {
  const whole = targets.reduce((sum, { weight }) => sum + weight, 0);
  return `${whole ? Math.round((100 * target.weight) / whole) : 0} %`;
};

export function Aliases(props: { models: readonly string[] }) {
  const list = useResource<{ aliases: Alias[] }>("/api/v1/models/aliases", 15);
  const { reload } = list;
  const told = JSON.stringify([...things("aliases")]);
  // biome-ignore lint/correctness/useExhaustiveDependencies: what was told is what it is asked again for
  useEffect(reload, [told, reload]);
  const [editing, setEditing] = useState<Alias | "new" | null>(null);
  const [deleting, setDeleting] = useState<Alias | null>(null);
  return (
    <Section
      title="Aliases"
      note="names that stand for models; a change loads the new model first, and fails no request"
      actions={
        <button type="button" onClick={() => setEditing("new")}>
          New alias…
        </button>
      }
    >
      <datalist id="models">
        {props.models.map((model) => (
          <option key={model} value={model} />
        ))}
      </datalist>
      <Show
        resource={list}
        what="the aliases"
        rows={2}
        then={({ aliases }) =>
          aliases.length === 0 ? (
            <Empty>
              No name stands for a model yet. With an alias, clients ask for one name while you change what
              answers.
            </Empty>
          ) : (
            <Table columns={["Alias", "Answered by", "Where none can", "Changed", ACTIONS]}>
              <tbody>
                {aliases.map((alias) => (
                  <tr key={alias.name}>
                    <th scope="row">{alias.name}</th>
                    <td>
                      {alias.targets.length === 0 && <span class="note">the model of this name</span>}
                      {alias.targets.map((target) => (
                        <div key={target.variant} class="share">
                          <span class="number">{shareOf(target, alias.targets)}</span> {target.model}
                          {target.variant !== target.model && <span class="note"> as {target.variant}</span>}
                        </div>
                      ))}
                    </td>
                    <td>{alias.fallbacks.join(", then ") || <span class="note">nothing</span>}</td>
                    <td>
                      {day(alias.updated_at)} <span class="note">by {alias.updated_by}</span>
                    </td>
                    <td class="actions">
                      {alias.source === "stack" ? (
                        <span class="note">set by the stack</span>
                      ) : (
                        <>
                          <button type="button" class="quiet" onClick={() => setEditing(alias)}>
                            Change…
                          </button>
                          <button type="button" class="quiet" onClick={() => setDeleting(alias)}>
                            Delete…
                          </button>
                        </>
                      )}
                    </td>
                  </tr>
                ))}
              </tbody>
            </Table>
          )
        }
      />
      {editing && (
        <Edit alias={editing === "new" ? null : editing} close={() => setEditing(null)} done={reload} />
      )}
      {deleting && (
        <Dialog
          title={`Delete ${deleting.name}?`}
          verb="Delete"
          danger
          act={() =>
            send("DELETE", `/api/v1/models/aliases/${inPath(deleting.name)}`).then(() => {
              say(`${deleting.name} stands for nothing any more.`);
              reload();
            })
          }
          close={() => setDeleting(null)}
        >
          <p>Who asks for it gets an error from then on, unless a model has its name.</p>
        </Dialog>
      )}
    </Section>
  );
}

interface Draft {
  id: number;
  model: string;
  weight: string;
  variant: string;
}

function Edit(props: { alias: Alias | null; close: () => void; done: () => void }) {
  const { alias } = props;
  const [name, setName] = useState(alias?.name ?? "");
  const [drafts, setDrafts] = useState<Draft[]>(() =>
    (alias?.targets.length ? alias.targets : [{ model: "", weight: 1, variant: "" }]).map(
      ({ model, weight, variant }, id) => ({
        id,
        model,
        weight: String(weight),
        variant: variant === model ? "" : variant,
      }),
    ),
  );
  const [fallbacks, setFallbacks] = useState(alias?.fallbacks.join(", ") ?? "");
  const [preload, setPreload] = useState(true);
  const change = (id: number, part: Partial<Draft>) =>
    setDrafts(drafts.map((draft) => (draft.id === id ? { ...draft, ...part } : draft)));
  const act = async () => {
    const targets = drafts
      .filter(({ model }) => model.trim())
      .map(({ model, weight, variant }) => ({
        model: model.trim(),
        weight: Number(weight),
        ...(variant.trim() ? { variant: variant.trim() } : {}),
      }));
    const others = fallbacks
      .split(",")
      .map((one) => one.trim())
      .filter(Boolean);
    await send("PUT", `/api/v1/models/aliases/${inPath(name.trim())}`, {
      targets,
      fallbacks: others,
      preload,
    });
    say(
      `${name.trim()} stands for ${targets.map(({ model }) => model).join(", ") || "the model of its name"}.`,
    );
    props.done();
  };
  return (
    <Dialog
      title={alias ? `Change ${alias.name}` : "New alias"}
      verb={preload ? "Load and change" : "Change"}
      act={act}
      close={props.close}
    >
      {!alias && (
        <Field label="Name">
          <input
            type="text"
            required
            spellcheck={false}
            value={name}
            onInput={(event) => setName(typed(event))}
          />
        </Field>
      )}
      <fieldset>
        <legend>Answered by</legend>
        {drafts.map((draft, index) => (
          <div class="target-row" key={draft.id}>
            <input
              type="text"
              list="models"
              aria-label={`Model ${index + 1}`}
              placeholder="model"
              spellcheck={false}
              value={draft.model}
              onInput={(event) => change(draft.id, { model: typed(event) })}
            />
            <input
              type="number"
              min={0}
              max={1_000_000}
              aria-label={`Weight ${index + 1}`}
              title="weight"
              value={draft.weight}
              onInput={(event) => change(draft.id, { weight: typed(event) })}
            />
            <input
              type="text"
              aria-label={`Variant ${index + 1}`}
              placeholder="variant (the model's name)"
              spellcheck={false}
              value={draft.variant}
              onInput={(event) => change(draft.id, { variant: typed(event) })}
            />
            <button
              type="button"
              class="quiet"
              aria-label={`Leave out model ${index + 1}`}
              disabled={drafts.length === 1}
              onClick={() => setDrafts(drafts.filter(({ id }) => id !== draft.id))}
            >
              ×
            </button>
          </div>
        ))}
        <button
          type="button"
          class="quiet"
          onClick={() =>
            setDrafts([
              ...drafts,
              { id: 1 + Math.max(...drafts.map(({ id }) => id)), model: "", weight: "1", variant: "" },
            ])
          }
        >
          One more
        </button>
      </fieldset>
      <Field label="Where none of them can, in this order" hint="models, with commas between them">
        <input
          type="text"
          spellcheck={false}
          value={fallbacks}
          onInput={(event) => setFallbacks(typed(event))}
        />
      </Field>
      <label class="check">
        <input
          type="checkbox"
          checked={preload}
          onChange={(event) => setPreload(event.currentTarget.checked)}
        />
        Load them before the name changes hands
      </label>
    </Dialog>
  );
}
