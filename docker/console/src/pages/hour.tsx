import { clock, count, percent, short } from "../lib/format";
import { failed, type Minute, minutes } from "../lib/series";
import { ERRORS, THROUGHPUT } from "../lib/targets";
import type { Sample } from "../lib/types";
import { Empty, Section, Show } from "../ui/parts";
import { Plot } from "../ui/plot";
import { useResource } from "../ui/resource";

// What all gateways have written down, minute by minute.
export function Hour() {
  const samples = useResource<{ since: string; metrics: Sample[] }>("/api/v1/metrics?since=1h", 30);
  return (
    <Section title="All gateways, the last hour" note="written once a minute">
      <div class="plots-place">
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
      </div>
    </Section>
  );
}
