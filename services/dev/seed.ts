/**
 * A demo user with a project, a script and three scenes, made once; the key is replaced when
 * another is given.
 */
import { parseApiKey, userScopes } from '#libs/store/api-key.ts'
import { openDatabase } from '#libs/store/connect.ts'

export interface Demo {
  userId: string
  projectId: string
  scriptId: string
  sceneIds: string[]
}

const prompts = [
  'A paper boat drifts down a rain-filled street at dusk, neon reflections in the water',
  'Close-up: a hand releases a red kite over a windy wheat field, golden hour',
  'A night train crosses a long bridge under falling snow, seen from far away',
]

export async function seedDemo(databaseUrl: string, apiKey: string): Promise<Demo> {
  const key = parseApiKey(apiKey)
  if (!key) throw new Error('the demo key must look like rk_<id>_<secret>')
  const db = openDatabase(databaseUrl, 1)
  try {
    const user =
      (await db.user.findFirst({ where: { name: 'demo' } })) ??
      (await db.user.create({ data: { name: 'demo' } }))
    const secretHash = Uint8Array.from(key.secretHash)
    await db.apiKey.upsert({
      where: { id: key.id },
      create: { id: key.id, userId: user.id, secretHash, name: 'demo', scopes: [...userScopes] },
      update: { secretHash, scopes: [...userScopes] },
    })
    const project =
      (await db.project.findFirst({ where: { userId: user.id }, orderBy: { createdAt: 'asc' } })) ??
      (await db.project.create({ data: { userId: user.id, title: 'Demo project' } }))
    const script =
      (await db.script.findFirst({
        where: { projectId: project.id },
        orderBy: { createdAt: 'asc' },
      })) ?? (await db.script.create({ data: { projectId: project.id, title: 'Demo script' } }))
    let scenes = await db.scene.findMany({
      where: { scriptId: script.id },
      orderBy: { id: 'asc' },
      take: prompts.length,
    })
    if (scenes.length === 0) {
      for (const [index, prompt] of prompts.entries())
        await db.scene.create({
          data: { scriptId: script.id, title: `Scene ${index + 1}`, prompt },
        })
      scenes = await db.scene.findMany({
        where: { scriptId: script.id },
        orderBy: { id: 'asc' },
        take: prompts.length,
      })
    }
    return {
      userId: user.id,
      projectId: project.id,
      scriptId: script.id,
      sceneIds: scenes.map((scene) => scene.id),
    }
  } finally {
    await db.$disconnect()
  }
}
