const SCALES: readonly (readonly [number, string])[] = [
  [1e9, ' G'],
  [1e6, ' M'],
  [1e3, ' K'],
];

/** Three digits and the scale: `1.24 M`. */
export function shortNumber(value: number): string {
  // Rounded first, so that what is nearly a million is no thousand thousands.
  const rounded = Number(value.toPrecision(3));
  const [divisor, name] = SCALES.find(([least]) => Math.abs(rounded) >= least) ?? [1, ''];
  return `${Number((rounded / divisor).toPrecision(3))}${name}`;
}
