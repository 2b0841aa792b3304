import { count, percent, span } from "../lib/format";
import { gateway, moments, own, rates, things } from "../lib/live";
import { Empty, Page, Section } from "../ui/parts";
import { Plot } from "../ui/plot";

const QUERIES: [string, string][] = [
  ["Workers that the forecast asks for; 0 while it abstains", "ollamamax_forecast_replicas"],
  ["Load that it expects, in slots", "ollamamax_forecast_load_slots"],
  ["Load that there is", "pool:ollamamax_load:max"],
  ["How old the forecast is, seconds", "time() - ollamamax_forecast_timestamp_seconds"],
  ["Worker hours that it has asked for beyond the present load", "ollamamax_forecast_replica_hours_total"],
];

export default function Autoscaling() {
  own("rates"); // once a second there is a moment more
  const now = moments.last;
  const queue = own("queue");
  const status = own("cluster");
  const from = `${span(moments.span)} ago`;
  const busy = now?.slots ? (100 * Math.min(now.wanted, now.slots)) / now.slots : null;
  return (
    <Page title="Autoscaling" note={gateway() && `Load and slots are those of ${gateway()}.`}>
      <Section title="What there is">
        {!now || !status ? (
          <Empty>Nothing is known of the nodes yet.</Empty>
        ) : (
          <dl class="facts">
            <div>
              <dt>Nodes that take requests</dt>
              <dd>
                {count(now.serving)} of {count(things("nodes").size)}
              </dd>
            </div>
            <div>
              <dt>Slots</dt>
              <dd>{count(now.slots)}, of the models in memory</dd>
            </div>
            <div>
              <dt>In flight</dt>
              <dd>{count(rates.last?.in_flight ?? now.wanted - (queue?.waiting ?? 0))}</dd>
            </div>
            <div>
              <dt>Waiting for a slot</dt>
              <dd>{count(queue?.waiting)}</dd>
            </div>
            <div>
              <dt>Slots taken</dt>
              <dd>{percent(busy)}</dd>
            </div>
            <div>
              <dt>Gateways</dt>
              <dd>{count(status.gateways)}</dd>
            </div>
          </dl>
        )}
      </Section>
      <Section
        title="Actual"
        note="since you signed in, a quarter of an hour at most: the platform keeps no more of it for a browser"
      >
        <div class="plots two">
          <div>
            <h3>Slots, and what is wanted of them</h3>
            <Plot
              curves={[
                { label: "slots", values: moments.values((one) => one.slots), tone: "second" },
                { label: "in flight and waiting", values: moments.values((one) => one.wanted) },
              ]}
              format={count}
              height={130}
              from={from}
              to="now"
            />
          </div>
          <div>
            <h3>Nodes that take requests</h3>
            <Plot
              curves={[{ label: "nodes", values: moments.values((one) => one.serving) }]}
              format={count}
              height={130}
              from={from}
              to="now"
            />
          </div>
        </div>
      </Section>
      <Section title="Forecast">
        <Empty>
          <p>
            No route of the platform gives the forecast to a browser, so none is drawn here. The forecaster
            publishes it to the stack's Prometheus alone.
          </p>
          <p>There these queries have it, and what it is to be compared with:</p>
          <dl class="queries">
            {QUERIES.map(([what, query]) => (
              <div key={query}>
                <dt>{what}</dt>
                <dd>
                  <code>{query}</code>
                </dd>
              </div>
            ))}
          </dl>
        </Empty>
      </Section>
    </Page>
  );
}
