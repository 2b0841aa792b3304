// Curves as SVG wants them.
export type Values = readonly (number | null)[];

// The least round number that is not below: 1, 2 or 5 times a power of ten.
export function ceiling(value: number): number {
  if (!(value > 0)) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  const step = [1, 2, 5, 10].find((times) => times * power >= value * (1 - 1e-9)) ?? 10;
  return step * power;
}

export function largest(...series: Values[]): number {
  let most = 0;
  for (const values of series) for (const value of values) if (value !== null && value > most) most = value;
  return most;
}

// A line through the values, broken where one is missing. A value alone is a dash, so that it is seen.
export function line(values: Values, width: number, height: number, top: number): string {
  const step = values.length > 1 ? width / (values.length - 1) : 0;
  const y = (value: number) => (height - (Math.min(value, top) / top) * height).toFixed(1);
  let path = "";
  values.forEach((value, index) => {
    if (value === null) return;
    const x = (index * step).toFixed(1);
    const begins = values[index - 1] == null;
    path += begins ? `M${x} ${y(value)}` : `L${x} ${y(value)}`;
    if (begins && values[index + 1] == null) path += `h1`;
  });
  return path;
}
