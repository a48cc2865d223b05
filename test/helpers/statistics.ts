/** Medians and spreads of a few samples; not a number where there are none. */

export function median(values: readonly number[]): number {
  return quantile(values, 0.5)
}

/** Half the distance between the quartiles, as a share of the median: 0.05 is "give or take 5 %". */
export function spread(values: readonly number[]): number {
  if (values.length < 2) return 0
  return (quantile(values, 0.75) - quantile(values, 0.25)) / 2 / median(values)
}

/** The value below which this share of all values lies. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b)
  const at = share * (sorted.length - 1)
  const [low = Number.NaN, high = Number.NaN] = [sorted[Math.floor(at)], sorted[Math.ceil(at)]]
  return low + (high - low) * (at - Math.floor(at))
}
