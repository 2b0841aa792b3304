import type { ComponentChildren } from "preact";
import { bytes, count, NONE, span } from "../lib/format";
import { own } from "../lib/live";
import type { Cluster } from "../lib/types";
import { Section, State } from "../ui/parts";
import { useEvery, useResource } from "../ui/resource";

// What the platform stands on.
export function Standing() {
  const cluster = useResource<Cluster>("/api/v1/cluster", 10);
  const now = useEvery(1);
  const answer = cluster.answer?.data;
  const status = own("cluster") ?? answer;
  const known = (value: (of: NonNullable<typeof status>) => ComponentChildren) =>
    status ? value(status) : NONE;
  const facts: [string, ComponentChildren][] = [
    [
      "Nodes",
      known(
        ({ nodes }) =>
          `${count(nodes.taking)} of ${count(nodes.total)} take requests, ${count(nodes.up)} up, ${count(nodes.drained)} drained`,
      ),
    ],
    ["Models", known(({ models }) => `${count(models.loaded)} of ${count(models.total)} in memory`)],
    ["Database", known(({ database }) => <Answers well={database} />)],
    ["Redis", known(({ redis }) => <Answers well={redis} />)],
    ["Gateways", known(({ gateways }) => `${count(gateways)} share the limits`)],
    ["Version", known(({ version }) => version)],
    ["Up for", known(({ started_at }) => span(Math.max(0, (now - Date.parse(started_at)) / 1000)))],
    ["Memory limit", answer ? `${bytes(answer.now.memory_limit_bytes)} (GOMEMLIMIT)` : NONE],
    [
      "Cost so far",
      <span key="cost" class="note">
        The platform serves no cost. <code>make cost</code> estimates that of a stack on AWS from list prices.
      </span>,
    ],
  ];
  return (
    <Section title="What it stands on">
      <dl class="facts">
        {facts.map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
    </Section>
  );
}

function Answers(props: { well: boolean }) {
  return <State tone={props.well ? "ok" : "bad"}>{props.well ? "answers" : "away"}</State>;
}
