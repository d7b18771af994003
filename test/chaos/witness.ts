/**
 * Sees everything while it happens: a trigger in Postgres writes down every change of a video, and
 * a subscriber, connected to NATS past every proxy, keeps each event and asks a gateway whether it
 * is behind.
 */
import { createHash } from 'node:crypto'
import type { NatsConnection } from 'nats'
import type { VideoEvent } from '#libs/scene-video/messages.ts'
import { connectNats } from '../support/nats.ts'
import type { Cluster } from './cluster.ts'

const trigger = `
  CREATE TABLE chaos_audit (no bigserial PRIMARY KEY, id uuid, version int, attempt int, status text, epoch bigint, "reportNo" int, at timestamptz DEFAULT clock_timestamp());
  CREATE FUNCTION chaos_note() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN
    INSERT INTO chaos_audit (id, version, attempt, status, epoch, "reportNo") VALUES (NEW.id, NEW.version, NEW.attempt, NEW.status, NEW.epoch, NEW."reportNo"); RETURN NEW; END $$;
  CREATE TRIGGER chaos_note AFTER INSERT OR UPDATE ON "SceneVideo" FOR EACH ROW EXECUTE FUNCTION chaos_note();`

export class Witness implements AsyncDisposable {
  /** ce-id → what was said under it. */
  readonly events = new Map<string, string>()
  /**
   * Different events under one ce-id; the gateway behind an event; events that a subscriber saw go
   * backwards.
   */
  readonly breaches: string[] = []
  asked = 0
  readonly #cluster: Cluster
  readonly #share: () => boolean
  readonly #asking = new Set<Promise<void>>()
  #nc: NatsConnection | undefined

  private constructor(cluster: Cluster, share: () => boolean) {
    this.#cluster = cluster
    this.#share = share
  }

  /** `share` says of which events the gateway is asked. */
  static async begin(cluster: Cluster, share: () => boolean): Promise<Witness> {
    const witness = new Witness(cluster, share)
    await cluster.query(trigger)
    witness.#nc = await connectNats(cluster.natsUrl, {
      reconnectTimeWait: 100,
      maxReconnectAttempts: -1,
      pingInterval: 2_000,
    })
    witness.#nc.subscribe('video.*', {
      callback: (_err, message) => witness.#hear(message.headers?.get('ce-id') ?? '', message.data),
    })
    return witness
  }

  #hear(ceId: string, data: Uint8Array): void {
    const hash = createHash('sha1').update(data).digest('base64')
    const before = this.events.get(ceId)
    if (before && before !== hash) this.breaches.push(`two different events under ${ceId}`)
    this.events.set(ceId, hash)
    if (!this.#share() || this.#asking.size > 20) return
    const event = JSON.parse(new TextDecoder().decode(data)) as VideoEvent
    const ask = this.#isBehind(event).finally(() => this.#asking.delete(ask))
    this.#asking.add(ask)
  }

  async #isBehind({ id, version, userId }: VideoEvent): Promise<void> {
    const path = `/api/scene-videos/${id}`
    for (const { demo, name, api } of this.#cluster.tenants) {
      if (demo.userId === userId) continue
      const { status } = await api('GET', path)
      if (status === 200) this.breaches.push(`${name} reads ${id}, which is somebody else's`)
    }
    const owner = this.#cluster.tenants.find((tenant) => tenant.demo.userId === userId)
    if (!owner) return void this.breaches.push(`event ${id}:${version} is of nobody's video`)
    const { status, body } = await owner.api('GET', path)
    if (status !== 200) return
    this.asked++
    if (Number(body['version']) < version)
      this.breaches.push(
        `the gateway shows version ${String(body['version'])} of ${id} after event ${version}`,
      )
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#asking)
    await this.#nc?.close()
  }
}
