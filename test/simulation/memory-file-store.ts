/** A store of files in memory, and as one process has it over a network. */
import { requireFileKey, StoreFull, type FileStore } from '#libs/files/file-store.ts'
import { call, type Process, type Weather } from './world.ts'

export class MemoryFileStore implements FileStore {
  readonly place = 'memory'
  readonly objects = new Map<string, Buffer>()
  /** Told of each file before it is there, and before it is removed. */
  onPut: (key: string) => void = () => {}
  onRemove: (key: string) => void = () => {}

  readonly put: FileStore['put'] = async (key, body, { signal }) => {
    requireFileKey(key)
    const chunks: Uint8Array[] = []
    for await (const chunk of body) {
      signal?.throwIfAborted()
      chunks.push(chunk)
    }
    signal?.throwIfAborted()
    const whole = Buffer.concat(chunks)
    this.onPut(key)
    this.objects.set(key, whole)
    return whole.length
  }

  readonly read: FileStore['read'] = async (key, range) => {
    const found = this.objects.get(requireFileKey(key))
    if (!found) return null
    const part = range ? found.subarray(range.start, range.end + 1) : found
    return (async function* () {
      yield part
    })()
  }

  readonly size = async (key: string) => this.objects.get(requireFileKey(key))?.length ?? null
  readonly remove = async (key: string) => {
    if (this.objects.has(requireFileKey(key))) this.onRemove(key)
    this.objects.delete(key)
  }

  async *list() {
    for (const [key, { length: bytes }] of this.objects) yield { key, bytes }
  }

  async [Symbol.asyncDispose]() {}
}

export interface StoreNetwork {
  weather: Weather
  state(): 'up' | 'away' | 'full'
  /** How long a call waits for its answer. */
  timeoutMs: number
  /** A file is in the store; its archiver has not heard of it yet. */
  onPut(): void
}

export function fileStoreOf(process: Process, store: FileStore, net: StoreNetwork): FileStore {
  const over = {
    weather: net.weather,
    timeoutMs: net.timeoutMs,
    isUp: () => net.state() !== 'away',
    fail: () => new Error('the store of files does not answer'),
  }
  const ask = <T>(act: () => T | Promise<T>): Promise<T> => call(process, over, act)
  return {
    place: store.place,
    async put(key, body, options) {
      const chunks: Uint8Array[] = []
      for await (const chunk of body) {
        options.signal?.throwIfAborted()
        chunks.push(chunk)
      }
      const again = async function* () {
        yield* chunks
      }
      return ask(() => {
        if (net.state() === 'full') throw new StoreFull('no room')
        return store.put(key, again(), { type: options.type }).finally(net.onPut)
      })
    },
    read: (key, range) => ask(() => store.read(key, range)),
    size: (key) => ask(() => store.size(key)),
    remove: (key) => ask(() => store.remove(key)),
    list: () => store.list(),
    async [Symbol.asyncDispose]() {},
  }
}
