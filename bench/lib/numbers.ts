export const median = (values: number[]): number =>
  values.toSorted((a, b) => a - b)[values.length >> 1]!

/** The value below which that share of the numbers lies; NaN of none. */
export const percentile = (values: number[], share: number): number =>
  values.toSorted((a, b) => a - b)[
    Math.min(values.length - 1, Math.floor(values.length * share))
  ] ?? NaN

/** By how much y grows per unit of x, by least squares. */
export function slope(points: [x: number, y: number][]): number {
  const mean = (of: 0 | 1) => points.reduce((sum, point) => sum + point[of], 0) / points.length
  const [x, y] = [mean(0), mean(1)]
  return (
    points.reduce((sum, point) => sum + (point[0] - x) * (point[1] - y), 0) /
    points.reduce((sum, point) => sum + (point[0] - x) ** 2, 0)
  )
}

/** For people: at most so many digits after the point; a dash where there is none. */
export const text = (value: number | null | undefined, digits = 0): string =>
  Number.isFinite(value) ? value!.toLocaleString('en', { maximumFractionDigits: digits }) : '–'

/** A table in Markdown. */
export const table = (head: string[], rows: string[][]): string =>
  [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n')

/** Latencies in ms; percentiles of all of them. */
export class Sample {
  #values: number[] = []
  add(ms: number): void {
    this.#values.push(ms)
  }
  take(): { count: number; p50: number; p99: number; max: number } {
    const sorted = Float64Array.from(this.#values).toSorted()
    this.#values = []
    const at = (share: number) =>
      sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? NaN
    return { count: sorted.length, p50: at(0.5), p99: at(0.99), max: at(1) }
  }
}
