/** Two tenants, and what they ask for by chance. The second one's provider may behave badly. */
import { encrypt, type Keyring } from '#libs/runtime/secrets.ts'
import { commandReplySchema, commandSubject } from '#libs/scene-video/messages.ts'
import { isTerminal } from '#libs/scene-video/scene-video.ts'
import type { EffectiveConfig } from '#libs/store/submissions.ts'
import type { MemoryBus } from './memory-bus.ts'
import { fileProviders } from './memory-file-host.ts'
import { badBaseUrl } from './memory-provider.ts'
import type { MemoryStore } from './memory-store.ts'
import type { World } from './world.ts'

/** The world that is asked. */
interface Asked {
  readonly world: World
  readonly store: MemoryStore
  /** The ids that were accepted. */
  readonly accepted: string[]
  /** Nobody asks for anything any more. */
  readonly calm: boolean
}

/** Each has one project, with the user's id. */
export const userIds = [
  '00000000-0000-4000-8000-000000000001',
  '00000000-0000-4000-8000-000000000002',
]
export const badUserId = userIds[1]!
export const badConfig = (key: Keyring): EffectiveConfig => ({
  provider: 'toapis',
  model: 'm',
  baseUrl: badBaseUrl,
  keyCipher: encrypt('bad', key),
  source: 'project',
})

export function demand(simulation: Asked, bus: MemoryBus): void {
  const { accepted, store, world } = simulation
  const ask = (subject: string, body: object) =>
    bus.request(subject, body, 20_000).then(
      (reply) => commandReplySchema.parse(reply),
      () => null,
    )
  const of = (id: string) => ({ userId: store.videos.get(id)!.userId, id, attempt: null })
  const act = async () => {
    const ended = accepted.filter((id) => isTerminal(store.videos.get(id)!.status))
    if (accepted.length < 5 || world.chance(0.7)) {
      const userId = world.pick(userIds)
      const body = {
        ...(world.chance(0.1) ? { deadlineSeconds: Math.ceil(world.between(1, 30)) } : {}),
        ...(world.chance(0.4) ? { provider: world.pick(fileProviders) } : {}),
      }
      const reply = await ask(commandSubject.generate, {
        userId,
        projectId: userId,
        scriptId: userId,
        sceneId: userId,
        idempotencyKey: null,
        body,
      })
      if (reply?.ok) accepted.push(reply.video.id)
    } else if (world.chance(0.5)) await ask(commandSubject.cancel, of(world.pick(accepted)))
    else if (ended.length) await ask(commandSubject.retry, of(world.pick(ended)))
  }
  const next = () => {
    if (simulation.calm) return
    void act()
    world.schedule(world.between(100, 8_000), null, next)
  }
  world.schedule(1_000, null, next)
}
