// Preloaded into a service: its wall clock is CLOCK_SKEW_MS off. The monotonic clock is not.
const skew = Number(process.env.CLOCK_SKEW_MS ?? 0)
const RealDate = Date
const now = () => RealDate.now() + skew
globalThis.Date = class extends RealDate {
  constructor(...args) {
    super(...(args.length ? args : [now()]))
  }
  static now() {
    return now()
  }
}
Object.defineProperty(performance, 'timeOrigin', { value: performance.timeOrigin + skew })
