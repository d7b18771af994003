import { call, type Process, type Weather } from './world.ts'

interface RemoteOptions {
  weather: Weather
  isUp(): boolean
  /** Told of each call that has been carried out, before its caller hears of it. */
  onDone(method: string): void
}

/** A store as one process has it: every method is a call over the network. */
export function remote<T extends object>(process: Process, target: T, options: RemoteOptions): T {
  const over = {
    ...options,
    timeoutMs: 15_000,
    fail: () => Object.assign(new Error('Postgres does not answer'), { code: 'ETIMEDOUT' }),
  }
  return new Proxy(target, {
    get: (object, name) => {
      const method: unknown = Reflect.get(object, name)
      if (typeof method !== 'function') return method
      return (...args: unknown[]) =>
        call(process, over, () => {
          const result = method.apply(object, structuredClone(args)) as Promise<unknown>
          options.onDone(String(name))
          return result
        })
    },
  })
}
