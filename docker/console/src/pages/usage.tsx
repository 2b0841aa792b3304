import { useState } from "preact/hooks";
import { count, percent } from "../lib/format";
import { failed } from "../lib/series";
import { GROUPS, type Group, type Usage as Row } from "../lib/types";
import { Bar, Empty, Field, Page, Section, Show, typed } from "../ui/parts";
import { useResource } from "../ui/resource";
import { type Column, numbers, Table } from "../ui/table";

const today = (): string => new Date().toISOString().slice(0, 10);
const SHOWN = 500;

export default function Usage() {
  const [from, setFrom] = useState(() => `${today().slice(0, 7)}-01`);
  const [to, setTo] = useState(today);
  const [by, setBy] = useState<Group>("day");
  const usage = useResource<{ usage: Row[]; next: string | null }>(
    from && to ? `/api/v1/usage?from=${from}&to=${to}&group_by=${by}&limit=${SHOWN}` : null,
    30,
  );
  return (
    <Page title="Usage" note="Days are UTC's. Gateways write what they counted every few seconds.">
      <form class="filters" onSubmit={(event) => event.preventDefault()}>
        <Field label="From">
          <input type="date" value={from} max={to} onInput={(event) => setFrom(typed(event))} />
        </Field>
        <Field label="To">
          <input type="date" value={to} min={from} onInput={(event) => setTo(typed(event))} />
        </Field>
        <Field label="For each">
          <select value={by} onChange={(event) => setBy(typed(event) as Group)}>
            {GROUPS.map((group) => (
              <option key={group}>{group}</option>
            ))}
          </select>
        </Field>
      </form>
      <Section title={`Usage for each ${by}`}>
        <Show
          resource={usage}
          what="the usage"
          then={({ usage: rows, next }) =>
            rows.length === 0 ? (
              <Empty>Nothing was used in these days.</Empty>
            ) : (
              <Sums rows={rows} by={by} more={next !== null} />
            )
          }
        />
      </Section>
    </Page>
  );
}

// What a row is of; an empty name has a meaning of its own.
const UNNAMED: Partial<Record<Group, string>> = { tenant: "the platform", model: "no model" };

function nameOf(row: Row, by: Group): string {
  if (by === "key") return row.key ?? `key ${row.key_id}`;
  return row[by] || (UNNAMED[by] ?? "");
}

function Sums(props: { rows: readonly Row[]; by: Group; more: boolean }) {
  const sum = (read: (row: Row) => number) => props.rows.reduce((total, row) => total + read(row), 0);
  const tokens = (row: Row) => row.prompt_tokens + row.completion_tokens;
  const most = Math.max(1, ...props.rows.map(tokens));
  const columns: Column[] = [
    props.by[0]?.toUpperCase() + props.by.slice(1),
    ...numbers("Requests", "Failed", "Prompt tokens", "Completion tokens"),
    { title: "Tokens, beside the others", as: "wide" },
  ];
  return (
    <Table columns={columns}>
      <tbody>
        {props.rows.map((row) => (
          <tr key={`${row.key_id ?? ""} ${nameOf(row, props.by)}`}>
            <th scope="row">{nameOf(row, props.by)}</th>
            <td class="number">{count(row.requests)}</td>
            <td class="number">{percent(failed(row.requests, row.failures))}</td>
            <td class="number">{count(row.prompt_tokens)}</td>
            <td class="number">{count(row.completion_tokens)}</td>
            <td>
              <Bar share={tokens(row) / most} label={`tokens of ${nameOf(row, props.by)}`} />
            </td>
          </tr>
        ))}
      </tbody>
      <tfoot>
        <tr>
          <th scope="row">{props.more ? `The first ${SHOWN}` : "In all"}</th>
          <td class="number">{count(sum((row) => row.requests))}</td>
          <td class="number">
            {percent(
              failed(
                sum((row) => row.requests),
                sum((row) => row.failures),
              ),
            )}
          </td>
          <td class="number">{count(sum((row) => row.prompt_tokens))}</td>
          <td class="number">{count(sum((row) => row.completion_tokens))}</td>
          <td />
        </tr>
      </tfoot>
    </Table>
  );
}
