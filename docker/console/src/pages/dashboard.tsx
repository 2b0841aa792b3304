import type { ComponentChildren } from "preact";
import { bytes, clock, count, NONE, percent, seconds, short, span } from "../lib/format";
import { asOf, dropped, moments, own, rates } from "../lib/live";
import { errorsOf, failed, type Minute, minutes } from "../lib/series";
import { ERRORS, type Level, level, MEMORY, OVERHEAD_P99, THROUGHPUT, type Threshold } from "../lib/targets";
import type { Cluster, Rates, Sample } from "../lib/types";
import { Empty, Page, Section, Show, State, type Tone } from "../ui/parts";
import { type Curve, Plot } from "../ui/plot";
import { useEvery, useResource } from "../ui/resource";

const WORDS: Record<Level, { tone: Tone; word: string }> = {
  met: { tone: "ok", word: "on target" },
  missed: { tone: "off", word: "off target" },
  warning: { tone: "warn", word: "warning" },
  critical: { tone: "bad", word: "critical" },
};

export default function Dashboard() {
  const status = own("cluster");
  return (
    <Page
      title="Dashboard"
      note={
        status &&
        `As ${status.gateway} sees it, ${status.gateways === 1 ? "the only gateway" : `one of ${status.gateways} gateways; sums over all are below`}.`
      }
    >
      <Findings />
      <Now />
      <Hour />
      <Standing />
    </Page>
  );
}

// What is wrong, in sentences; where nothing is, one that says so.
function Findings() {
  const status = own("cluster");
  const now = own("rates");
  if (!status) return null;
  const found: { tone: Tone; text: string }[] = [];
  const find = (holds: boolean, tone: Tone, text: string) => holds && found.push({ tone, text });
  const { nodes } = status;
  find(nodes.total === 0, "bad", "No node is known: requests wait, and then fail.");
  find(nodes.total > 0 && nodes.taking === 0, "bad", "No node takes requests.");
  find(nodes.up < nodes.total, "warn", `${nodes.total - nodes.up} of ${nodes.total} nodes are down.`);
  find(!status.database, "warn", "The database is away: keys, drains and aliases can't be changed.");
  find(!status.redis, "warn", "Redis is away: each gateway keeps answers and limits by itself.");
  find(status.draining, "warn", `${status.gateway} is about to stop.`);
  if (now) {
    const errors = level(errorsOf(rates.within(10)), ERRORS);
    const overhead = level(now.overhead_p99_seconds, OVERHEAD_P99);
    find(
      errors === "critical" || errors === "warning",
      errors === "critical" ? "bad" : "warn",
      "Requests fail.",
    );
    find(
      overhead === "critical" || overhead === "warning",
      overhead === "critical" ? "bad" : "warn",
      "The platform is slow by itself.",
    );
  }
  return (
    <ul class="findings" aria-label="What is wrong">
      {found.length === 0 && (
        <li>
          <State tone="ok">
            Nothing is wrong: {count(nodes.taking)} of {count(nodes.total)} nodes take requests.
          </State>
        </li>
      )}
      {found.map(({ tone, text }) => (
        <li key={text}>
          <State tone={tone}>{text}</State>
        </li>
      ))}
    </ul>
  );
}

interface TileProps {
  title: string;
  value: string;
  more?: ComponentChildren;
  curves?: Curve[];
  format?: (value: number | null) => string;
  stand?: Level | null;
  target?: string;
}

function Tile(props: TileProps) {
  const words = props.stand ? WORDS[props.stand] : null;
  return (
    <div class="tile">
      <h3>{props.title}</h3>
      <p class="value">{props.value}</p>
      <p class="more">{props.more}</p>
      {props.curves && <Plot curves={props.curves} format={props.format ?? short} height={36} />}
      {props.target && (
        <p class="target">
          {words && <State tone={words.tone}>{words.word}</State>}
          <span>{props.target}</span>
        </p>
      )}
    </div>
  );
}

const curve = (label: string, read: (one: Rates) => number | null, tone: Curve["tone"] = "main"): Curve => ({
  label,
  values: rates.values(read),
  tone,
});

const alarms = ({ target, warning, critical }: Threshold, unit: string, size = 1): string =>
  `target ${target / size}${unit} · warning ${warning / size} · critical ${critical / size}`;

function Now() {
  const now = own("rates");
  const queue = own("queue");
  const slots = moments.last?.slots;
  const last = rates.within(10);
  const errors = errorsOf(last);
  const sum = (read: (one: Rates) => number) => last.reduce((total, one) => total + read(one), 0);
  const requests = sum((one) => one.requests);
  const wanted = (queue?.waiting ?? 0) > 0;
  if (!now) {
    return (
      <Section title="Now">
        <Empty>
          {asOf.value === null
            ? "The first rates come a second or two after the connection."
            : "No rates were kept."}
        </Empty>
      </Section>
    );
  }
  return (
    <Section title="Now" note={`this gateway, the last ${span(rates.span)}`}>
      <div class="tiles">
        <Tile
          title="Requests"
          value={`${short(now.requests)}/s`}
          more={`${count(now.in_flight)} in flight`}
          curves={[curve("requests a second", (one) => one.requests)]}
          stand={wanted ? level(now.requests, THROUGHPUT) : null}
          target={
            wanted ? alarms(THROUGHPUT, "/s") : `target ${THROUGHPUT.target}/s, judged while requests wait`
          }
        />
        <Tile
          title="Platform time, p99"
          value={seconds(now.overhead_p99_seconds)}
          more={
            now.overhead_p50_seconds === null
              ? "no requests in the last 10 s"
              : `p50 ${seconds(now.overhead_p50_seconds)}, what the platform adds`
          }
          curves={[
            curve("p99", (one) => one.overhead_p99_seconds),
            curve("p50", (one) => one.overhead_p50_seconds, "second"),
          ]}
          format={seconds}
          stand={level(now.overhead_p99_seconds, OVERHEAD_P99)}
          target={alarms(OVERHEAD_P99, " ms", 0.001)}
        />
        <Tile
          title="Time to first token, p99"
          value={seconds(now.first_token_p99_seconds)}
          more={
            now.first_token_p50_seconds === null
              ? "no stream began in the last 10 s"
              : `p50 ${seconds(now.first_token_p50_seconds)}, of streams, with the model's`
          }
          curves={[
            curve("p99", (one) => one.first_token_p99_seconds),
            curve("p50", (one) => one.first_token_p50_seconds, "second"),
          ]}
          format={seconds}
          target="no target: it is the model's"
        />
        <Tile
          title="Tokens"
          value={`${short(now.completion_tokens)}/s`}
          more={`${short(now.prompt_tokens)}/s of prompts`}
          curves={[curve("tokens a second", (one) => one.completion_tokens)]}
          target="counted when a request ends"
        />
        <Tile
          title="Errors"
          value={percent(errors)}
          more="of the last 10 s' requests"
          curves={[curve("errors a second", (one) => one.errors, "bad")]}
          stand={level(errors, ERRORS)}
          target={alarms(ERRORS, " %")}
        />
        <Tile
          title="Cache hits"
          value={`${short(now.cache_hits)}/s`}
          more={
            requests > 0
              ? `${percent((100 * sum((one) => one.cache_hits)) / requests)} of requests`
              : "no requests"
          }
          curves={[curve("hits a second", (one) => one.cache_hits)]}
          target="answers from memory or Redis"
        />
        <Tile
          title="Queue"
          value={count(queue?.waiting)}
          more={`${count(now.in_flight)} of ${count(slots)} slots taken`}
          curves={[curve("in flight", (one) => one.in_flight)]}
          target="wait for a slot; the curve is in flight"
        />
        <Tile
          title="Memory"
          value={bytes(now.memory_bytes)}
          more="of this gateway"
          curves={[curve("memory", (one) => one.memory_bytes)]}
          format={bytes}
          stand={level(now.memory_bytes, MEMORY)}
          target={alarms(MEMORY, " GiB", 2 ** 30)}
        />
      </div>
      {dropped.value > 0 && (
        <p class="note">
          {count(dropped.value)} messages were left out: this browser is slower than the platform tells.
        </p>
      )}
    </Section>
  );
}

function Hour() {
  const samples = useResource<{ since: string; metrics: Sample[] }>("/api/v1/metrics?since=1h", 30);
  return (
    <Section title="All gateways, the last hour" note="written once a minute">
      <Show
        resource={samples}
        what="the last hour"
        then={({ metrics }) => {
          const all = minutes(metrics);
          const first = all[0];
          const last = all.at(-1);
          if (!first || !last) return <Empty>No gateway has written down a minute yet.</Empty>;
          const ends = { from: clock(first.at, false), to: clock(last.at, false), height: 110 };
          const read = (value: (minute: Minute) => number | null) =>
            all.map(({ minute }) => (minute ? value(minute) : null));
          const whole = metrics.reduce((sum, one) => sum + one.requests, 0);
          const bad = metrics.reduce((sum, one) => sum + one.failures, 0);
          const tokens = metrics.reduce((sum, one) => sum + one.prompt_tokens + one.completion_tokens, 0);
          return (
            <div class="plots">
              <div>
                <h3>
                  Requests a second <small>{count(whole)} in all</small>
                </h3>
                <Plot
                  curves={[{ label: "requests a second", values: read((minute) => minute.requests / 60) }]}
                  format={short}
                  mark={{ at: THROUGHPUT.target, label: `target ${THROUGHPUT.target}/s` }}
                  {...ends}
                />
              </div>
              <div>
                <h3>
                  Failed <small>{percent(failed(whole, bad))} in all</small>
                </h3>
                <Plot
                  curves={[
                    {
                      label: "failed",
                      tone: "bad",
                      values: read((minute) => failed(minute.requests, minute.failures) ?? 0),
                    },
                  ]}
                  format={percent}
                  mark={{ at: ERRORS.target, label: `target ${ERRORS.target} %` }}
                  {...ends}
                />
              </div>
              <div>
                <h3>
                  Tokens a second <small>{short(tokens)} in all</small>
                </h3>
                <Plot
                  curves={[{ label: "tokens a second", values: read((minute) => minute.tokens / 60) }]}
                  format={short}
                  {...ends}
                />
              </div>
            </div>
          );
        }}
      />
    </Section>
  );
}

// What the platform stands on.
function Standing() {
  const cluster = useResource<Cluster>("/api/v1/cluster", 10);
  const now = useEvery(1);
  const live = own("cluster");
  const answer = cluster.answer?.data;
  const status = live ?? answer;
  if (!status) return null;
  const { nodes, models } = status;
  const facts: [string, ComponentChildren][] = [
    [
      "Nodes",
      `${count(nodes.taking)} of ${count(nodes.total)} take requests, ${count(nodes.up)} up, ${count(nodes.drained)} drained`,
    ],
    ["Models", `${count(models.loaded)} of ${count(models.total)} in memory`],
    [
      "Database",
      <State key="database" tone={status.database ? "ok" : "bad"}>
        {status.database ? "answers" : "away"}
      </State>,
    ],
    [
      "Redis",
      <State key="redis" tone={status.redis ? "ok" : "bad"}>
        {status.redis ? "answers" : "away"}
      </State>,
    ],
    ["Gateways", `${count(status.gateways)} share the limits`],
    ["Version", status.version],
    ["Up for", span(Math.max(0, (now - Date.parse(status.started_at)) / 1000))],
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
