import { ceiling, largest, line, type Values } from "../lib/plot";

export interface Curve {
  label: string;
  values: Values;
  tone?: "main" | "second" | "bad";
}

interface Props {
  curves: Curve[];
  format: (value: number | null) => string;
  height?: number;
  from?: string; // what stands below the two ends
  to?: string;
  mark?: { at: number; label: string }; // a line to compare with
}

const WIDTH = 300;

// Curves over time. Read out, they are what they say in words: the last value and the largest.
export function Plot(props: Props) {
  const height = props.height ?? 40;
  const most = largest(...props.curves.map((curve) => curve.values));
  const axis = props.from !== undefined;
  const top = ceiling(
    axis ? Math.max(most, props.mark && most > props.mark.at / 4 ? props.mark.at : 0) : most,
  );
  const words = props.curves
    .map(
      ({ label, values }) =>
        `${label}: now ${props.format(values.at(-1) ?? null)}, at most ${props.format(largest(values))}`,
    )
    .join("; ");
  const mark = props.mark && props.mark.at <= top ? height - (props.mark.at / top) * height : null;
  return (
    <figure class={`plot ${axis ? "with-axis" : ""}`}>
      {axis && (
        <div class="scale" aria-hidden="true">
          <span>{props.format(top)}</span>
          <span>0</span>
        </div>
      )}
      <svg
        viewBox={`0 -1 ${WIDTH} ${height + 2}`}
        height={height}
        preserveAspectRatio="none"
        role="img"
        aria-label={words}
      >
        <path
          class="grid"
          d={`${axis ? `M0 0H${WIDTH}M0 ${height / 2}H${WIDTH}` : ""}M0 ${height}H${WIDTH}`}
        />
        {mark !== null && <path class="mark" d={`M0 ${mark.toFixed(1)}H${WIDTH}`} />}
        {props.curves.map(({ label, values, tone }) => (
          <path key={label} class={tone ?? "main"} d={line(values, WIDTH, height, top)} />
        ))}
      </svg>
      {axis && (
        <figcaption>
          <span>{props.from}</span>
          <span class="legend">
            {props.curves.length > 1 &&
              props.curves.map(({ label, tone }) => (
                <span key={label} class={tone ?? "main"}>
                  {label}
                </span>
              ))}
            {mark !== null && <span class="mark">{props.mark?.label}</span>}
          </span>
          <span>{props.to}</span>
        </figcaption>
      )}
    </figure>
  );
}
