import { Failure } from "../lib/api";
import { clock, count, NONE, percent, short, span } from "../lib/format";
import { gateway, moments, own, things } from "../lib/live";
import type { PoolForecast } from "../lib/types";
import { Empty, Page, Section, Show } from "../ui/parts";
import { Plot } from "../ui/plot";
import { useResource } from "../ui/resource";

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
              <dt>In flight and waiting</dt>
              <dd>{count(now.wanted)}</dd>
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
      <Forecasts />
    </Page>
  );
}

const ABSTAINS = {
  missing: "It says nothing: the present load is not known.",
  skill: "It says nothing: it has been no better than to expect what there is.",
};

function Forecasts() {
  const forecasts = useResource<{ pools: PoolForecast[] }>("/api/v1/cluster/forecasts", 15);
  const none = forecasts.error instanceof Failure && forecasts.error.status === 404;
  return (
    <Section
      title="Forecast against actual"
      note="of all gateways, as the forecaster has it; a forecast can only add workers"
    >
      {none ? (
        <Empty>This stack has no forecaster.</Empty>
      ) : (
        <Show
          resource={forecasts}
          what="the forecasts"
          then={({ pools }) => (
            <div class="plots two">
              {pools.map((pool) => (
                <Forecast key={pool.pool} of={pool} />
              ))}
            </div>
          )}
        />
      )}
    </Section>
  );
}

function Forecast(props: { of: PoolForecast }) {
  const { pool, replicas, horizon_seconds, abstains, moments: told } = props.of;
  const first = told[0];
  const last = told.at(-1);
  const skill = abstains ? ABSTAINS[abstains] : `Workers that it asks for: ${count(replicas)}.`;
  return (
    <div>
      <h3>
        {pool} <small>slots that are wanted</small>
      </h3>
      {first && last ? (
        <Plot
          curves={[
            {
              label: `expected at most within ${span(horizon_seconds)}`,
              values: told.map(({ forecast }) => forecast),
              tone: "second",
            },
            { label: "wanted", values: told.map(({ load }) => load) },
          ]}
          format={short}
          height={130}
          from={clock(first.at * 1000, false)}
          to={clock(last.at * 1000, false)}
        />
      ) : (
        <p class="note">{NONE}</p>
      )}
      <p class="note">{first ? skill : "It has made none since it was started."}</p>
    </div>
  );
}
