/**
 * The records in the OWNERSHIP bucket: sessions and owners, read from the leader and written by
 * compare-and-set only.
 */
import { z } from 'zod'
import { Conflict, jsonOf, type Bus, type Stored } from '#libs/bus/bus.ts'
import { ownershipBucket, streams } from '#libs/bus/streams.ts'

export const sessionSchema = z.object({
  name: z.string(),
  /** Draining: still an owner, but wants no more. */
  state: z.enum(['live', 'draining', 'dead']),
  beat: z.number(),
  /** How many videos it owned at that beat. */
  owned: z.number(),
  /** Whether it might claim more then. */
  acceptsClaims: z.boolean().default(true),
  /** For how long its owner may go unheard: who judges it waits at least as long. Milliseconds. */
  ttlMs: z.number().min(0).default(0),
  /** Dead because it was ended in order. */
  stopped: z.boolean().default(false),
})
export const ownerSchema = z.object({ session: z.string() })
export type SessionRecord = z.infer<typeof sessionSchema>

export const subject = (key: string) => `$KV.${ownershipBucket}.${key}`
export const sessionKey = (id: string) => `session.${id}`
export const ownerKey = (videoId: string) => `owner.${videoId}`
/** Removes a key, and its marker a minute later; so no tombstone stays. */
const purge = { 'KV-Operation': 'PURGE', 'Nats-Rollup': 'sub', 'Nats-TTL': '60s' }

/**
 * Compare-and-set on one key (null: purge it); the new revision, or null when the key is not at
 * `expected` (0: absent).
 */
export async function compareAndSet(
  bus: Bus,
  key: string,
  value: object | null,
  expected: bigint,
): Promise<bigint | null> {
  // rule: claims are compare-and-set
  const expect = { sequence: Number(expected) }
  try {
    return BigInt(
      await bus.store(subject(key), value ? JSON.stringify(value) : '', {
        expect,
        timeoutMs: 2_000,
        ...(value ? {} : { headers: purge }),
      }),
    )
  } catch (err) {
    if (err instanceof Conflict) return null
    throw err
  }
}

interface Entry<T> {
  revision: bigint
  /** Null: purged. */
  value: T | null
}

export const noRecord: Entry<never> = { revision: 0n, value: null }

function parse<T>(message: Stored, schema: z.ZodType<T>): T | null {
  if (
    message.data.length === 0 ||
    message.header('KV-Operation') ||
    message.header('Nats-Marker-Reason')
  )
    return null
  try {
    return schema.safeParse(jsonOf(message)).data ?? null
  } catch {
    return null
  }
}

/** The latest record of a key, from the stream's leader; revision 0 when there never was one. */
export async function read<T>(bus: Bus, key: string, schema: z.ZodType<T>): Promise<Entry<T>> {
  const message = await bus.newest(streams.ownership, subject(key))
  return message ? { revision: BigInt(message.sequence), value: parse(message, schema) } : noRecord
}

export async function readAll<T>(
  bus: Bus,
  prefix: string,
  schema: z.ZodType<T>,
): Promise<{ id: string; revision: bigint; value: T }[]> {
  const messages = await bus.newestOfEach(streams.ownership, subject(`${prefix}.*`))
  return messages.flatMap((message) => {
    const value = parse(message, schema)
    return value
      ? [
          {
            id: message.subject.slice(subject(`${prefix}.`).length),
            revision: BigInt(message.sequence),
            value,
          },
        ]
      : []
  })
}

export interface OwnerRecord {
  videoId: string
  session: string
  revision: bigint
}

/** Every owner record there is. */
export async function ownerRecords(bus: Bus): Promise<OwnerRecord[]> {
  return (await readAll(bus, 'owner', ownerSchema)).map(({ id, revision, value }) => ({
    videoId: id,
    revision,
    session: value.session,
  }))
}

/**
 * Takes a video from its owner, dead or alive; what that owner still says is refused once another
 * one has it.
 */
export async function revoke(bus: Bus, { videoId, revision }: OwnerRecord): Promise<boolean> {
  return (await compareAndSet(bus, ownerKey(videoId), null, revision)) !== null
}

/** Ids of the sessions, with whether each is alive as recorded. */
export async function sessionStates(bus: Bus): Promise<Map<string, SessionRecord['state']>> {
  return new Map(
    (await readAll(bus, 'session', sessionSchema)).map(({ id, value }) => [id, value.state]),
  )
}

/** Removes a dead session that owns nothing any more. */
export async function removeDeadSession(bus: Bus, id: string): Promise<void> {
  const { revision, value } = await read(bus, sessionKey(id), sessionSchema)
  if (value?.state === 'dead') await compareAndSet(bus, sessionKey(id), null, revision)
}
