/**
 * What the laws are judged by, from outside only: two tenants who speak HTTP, a subscriber of
 * `video.*`, the stream, and the ledger of the provider. The second tenant's provider account can
 * go bad in every way.
 */
import type { NatsConnection } from 'nats'
import { BadProvider } from '../support/bad-provider.ts'
import { resetCircuits } from '../support/circuits.ts'
import { connectNats } from '../support/nats.ts'
import { operate } from '../support/operate.ts'
import { System, until, type LedgerRow } from '../support/system.ts'
import { asker, makeTenant, type Tenant } from '../support/tenant.ts'

export interface Video {
  id: string
  status: string
  phase: string
  attempt: number
  version: number
  taskId: string | null
  videoUrl: string | null
  error: { code: string; message: string } | null
}

export interface Heard {
  ceId: string
  event: string
  video: Video & { userId: string }
  text: string
}

export const isEnded = ({ status }: Video) => status === 'completed' || status === 'failed'

/** Quick enough for a provider whose videos take seconds. */
const quick = {
  ALLOW_PRIVATE_BASE_URLS: 'true',
  POLL_INTERVAL_MS: '500',
  CREATE_TIMEOUT_MS: '2000',
  SEND_WINDOW_MS: '1000',
  LOOKUP_WINDOW_MS: '8000',
  RECONCILE_INTERVAL_MS: '10000',
  STALE_AFTER_MS: '30000',
}

/** One tenant, with what it was promised. */
export class Asker {
  readonly tenant: Tenant
  readonly accepted: string[] = []

  constructor(tenant: Tenant) {
    this.tenant = tenant
  }

  /** The id of an accepted video. Asks again, under the same key, until it is accepted. */
  async submit(prompt: string, more: object = {}): Promise<string> {
    const { projectId, scriptId, sceneIds } = this.tenant.demo
    const path = `/api/projects/${projectId}/scripts/${scriptId}/scenes/${sceneIds[0]}/generate-video`
    const key = { 'idempotency-key': crypto.randomUUID() }
    const id = await until('a submission to be accepted', async () => {
      const { status, body } = await this.tenant.api('POST', path, { prompt, ...more }, key)
      if (status === 202) return String(body['id'])
      if (![0, 503, 409].includes(status)) throw new Error(`${status} ${JSON.stringify(body)}`)
      return undefined
    })
    this.accepted.push(id)
    return id
  }

  submitMany = (count: number, prompt: string) =>
    Promise.all(Array.from({ length: count }, () => this.submit(prompt)))

  async video(id: string): Promise<Video> {
    return until(`${id} to be shown`, async () => {
      const { status, body } = await this.tenant.api('GET', `/api/scene-videos/${id}`)
      if (status === 200) return body as unknown as Video
      if (status !== 503) throw new Error(`${status} for ${id}`)
      return undefined
    })
  }

  all = () => Promise.all(this.accepted.map((id) => this.video(id)))

  async timeline(id: string): Promise<Record<string, unknown>[]> {
    return until(`the timeline of ${id}`, async () => {
      const { status, body } = await this.tenant.api('GET', `/api/scene-videos/${id}/timeline`)
      return status === 200 ? (body['data'] as Record<string, unknown>[]) : undefined
    })
  }

  /** A cancel or a retry, asked for until it is answered clearly; the status of the answer. */
  command = (id: string, verb: 'cancel' | 'retry') =>
    until(verb, async () => {
      const { status } = await this.tenant.api('POST', `/api/scene-videos/${id}/${verb}`, {})
      return [0, 503].includes(status) ? undefined : status
    })

  ended = (ids: string[], ms: number) =>
    until(
      `${ids.length} videos of ${this.tenant.name} to end`,
      async () => {
        const videos = await Promise.all(ids.map((id) => this.video(id)))
        return videos.every(isEnded) ? videos : undefined
      },
      ms,
    )
}

export class Stage implements AsyncDisposable {
  readonly system = new System(quick)
  provider!: BadProvider
  good!: Asker
  bad!: Asker
  /** Every delivery to the subscriber, in order. */
  readonly heard: Heard[] = []
  /** Events that the gateway was behind of, and videos it showed to somebody else. */
  readonly breaches: string[] = []
  readonly #asking = new Set<Promise<void>>()
  #nc: NatsConnection | undefined

  async start(): Promise<void> {
    const { system } = this
    await system.start()
    await system.simulate({ minSeconds: 1, maxSeconds: 2, tier: 'off' })
    this.provider = await BadProvider.before(system.dev.simulatorUrl)
    const gateways = [system.dev.gatewayUrl]
    const { apiKey, ...demo } = system.dev
    const operator = (...args: string[]) => operate(system.operatorEnv, args)
    this.good = new Asker({ name: 'good', demo, api: asker(gateways, apiKey) })
    const { baseUrl } = this.provider
    this.bad = new Asker(await makeTenant({ gateways, operate: operator }, 'bad', baseUrl))
    this.#nc = await connectNats(system.dev.natsUrl, { maxReconnectAttempts: -1 })
    this.#nc.subscribe('video.*', {
      callback: (_err, message) =>
        this.#hear(message.subject, message.headers?.get('ce-id') ?? '', message.string()),
    })
  }

  #hear(subject: string, ceId: string, text: string): void {
    const video = JSON.parse(text) as Heard['video']
    this.heard.push({ ceId, event: subject.slice('video.'.length), video, text })
    const ask = this.#ask(video).finally(() => this.#asking.delete(ask))
    this.#asking.add(ask)
  }

  /** Its owner sees that version or a later one, the other tenant nothing. */
  async #ask({ id, version, userId }: Heard['video']): Promise<void> {
    const path = `/api/scene-videos/${id}`
    for (const { tenant } of [this.good, this.bad]) {
      const { status, body } = await tenant.api('GET', path)
      const isOwn = tenant.demo.userId === userId
      if (status === 200 && !isOwn) this.breaches.push(`${tenant.name} reads ${id}`)
      if (status === 200 && isOwn && Number(body['version']) < version)
        this.breaches.push(`version ${String(body['version'])} of ${id} after event ${version}`)
      if (status === 404 && isOwn) this.breaches.push(`${id} is told of, and not there`)
    }
  }

  /** What waits for the circuit of the account that was bad goes on at once. */
  resetCircuit = (): Promise<void> =>
    resetCircuits(this.system, new URL(this.provider.baseUrl).host)

  ledger = (): Promise<LedgerRow[]> => this.system.ledger()

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#asking)
    await this.#nc?.close()
    await this.provider?.[Symbol.asyncDispose]()
    await this.system[Symbol.asyncDispose]()
  }
}
