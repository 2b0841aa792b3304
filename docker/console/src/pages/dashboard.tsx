import type { ComponentChildren } from "preact";
import { bytes, count, NONE, percent, seconds, short, span } from "../lib/format";
import { dropped, moments, own, rates } from "../lib/live";
import { errorsOf } from "../lib/series";
import { ERRORS, type Level, level, MEMORY, OVERHEAD_P99, THROUGHPUT, type Threshold } from "../lib/targets";
import type { Rates } from "../lib/types";
import { Page, Section, State, type Tone } from "../ui/parts";
import { type Curve, Plot } from "../ui/plot";
import { Hour } from "./hour";
import { Standing } from "./standing";

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
        status
          ? `As ${status.gateway} sees it, ${status.gateways === 1 ? "the only gateway" : `one of ${status.gateways} gateways; sums over all are below`}.`
          : "As one of the gateways sees it; sums over all of them are below, minute by minute."
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
  const found: { tone: Tone; text: string }[] = [];
  if (!status) {
    return (
      <p class="findings">
        <State tone="busy">Nothing has been told yet.</State>
      </p>
    );
  }
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
          <span>{props.target}</span>
          {words && <State tone={words.tone}>{words.word}</State>}
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

const rate = (value: number | undefined): string => (value === undefined ? NONE : `${short(value)}/s`);

const alarms = ({ target, warning, critical }: Threshold, unit: string, size = 1): string =>
  `target ${target / size}${unit} · warning ${warning / size} · critical ${critical / size}`;

// What the gateway that is followed does. Its tiles are there from the start, so that nothing moves when they fill.
function Now() {
  const now = own("rates");
  const queue = own("queue");
  const slots = moments.last?.slots;
  const last = rates.within(10);
  const errors = errorsOf(last);
  const sum = (read: (one: Rates) => number) => last.reduce((total, one) => total + read(one), 0);
  const requests = sum((one) => one.requests);
  const wanted = (queue?.waiting ?? 0) > 0;
  // What is said below a value, where there is one.
  const beside = (value: number | null | undefined, words: (value: number) => string, without: string) =>
    now && (value == null ? without : words(value));
  return (
    <Section title="Now" note={`this gateway, the last ${span(rates.span)}`}>
      <div class="tiles">
        <Tile
          title="Requests"
          value={rate(now?.requests)}
          more={`${count(now?.in_flight)} in flight`}
          curves={[curve("requests a second", (one) => one.requests)]}
          stand={wanted ? level(now?.requests, THROUGHPUT) : null}
          target={
            wanted ? alarms(THROUGHPUT, "/s") : `target ${THROUGHPUT.target}/s, judged while requests wait`
          }
        />
        <Tile
          title="Platform time, p99"
          value={seconds(now?.overhead_p99_seconds)}
          more={beside(
            now?.overhead_p50_seconds,
            (p50) => `p50 ${seconds(p50)}, what the platform adds`,
            "no requests in the last 10 s",
          )}
          curves={[
            curve("p99", (one) => one.overhead_p99_seconds),
            curve("p50", (one) => one.overhead_p50_seconds, "second"),
          ]}
          format={seconds}
          stand={level(now?.overhead_p99_seconds, OVERHEAD_P99)}
          target={alarms(OVERHEAD_P99, " ms", 0.001)}
        />
        <Tile
          title="Time to first token, p99"
          value={seconds(now?.first_token_p99_seconds)}
          more={beside(
            now?.first_token_p50_seconds,
            (p50) => `p50 ${seconds(p50)}, with the model's time`,
            "no stream began in the last 10 s",
          )}
          curves={[
            curve("p99", (one) => one.first_token_p99_seconds),
            curve("p50", (one) => one.first_token_p50_seconds, "second"),
          ]}
          format={seconds}
          target="no target: it is the model's"
        />
        <Tile
          title="Tokens"
          value={rate(now?.completion_tokens)}
          more={`${rate(now?.prompt_tokens)} of prompts`}
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
          value={rate(now?.cache_hits)}
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
          more={`${count(now?.in_flight)} of ${count(slots)} slots taken`}
          curves={[curve("in flight", (one) => one.in_flight)]}
          target="wait for a slot; the curve is in flight"
        />
        <Tile
          title="Memory"
          value={bytes(now?.memory_bytes)}
          more="of this gateway"
          curves={[curve("memory", (one) => one.memory_bytes)]}
          format={bytes}
          stand={level(now?.memory_bytes, MEMORY)}
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
