/** Videos that failed, made without a provider. */
import { v7 } from '#libs/runtime/uuid.ts'
import type { Stack } from './gateway-kit.ts'

export type Send = { answer: string | null; taskId?: string; outcome?: string; settledAt?: Date }

/** A failed video, with what is known of its sends. */
export async function failedVideo(
  stack: Stack,
  errorCode: string,
  sends: Send[] = [],
  scene = 0,
): Promise<string> {
  const { userId, projectId, scriptId, sceneIds } = stack.demo
  const { id } = await stack.db.sceneVideo.create({
    data: {
      id: v7(),
      userId,
      projectId,
      scriptId,
      sceneId: sceneIds[scene]!,
      provider: 'toapis',
      model: 'sora-2',
      prompt: 'x',
      status: 'failed',
      phase: 'done',
      errorCode,
      errorMessage: errorCode,
      completedAt: new Date(),
    },
  })
  for (const [i, send] of sends.entries())
    await stack.db.submission.create({
      data: {
        videoId: id,
        attempt: 1,
        send: i + 1,
        provider: 'toapis',
        baseUrl: 'https://x.example',
        keyCipher: 'x',
        ...send,
      },
    })
  return id
}

/** So that what one test made is not found by the next. */
export async function forgetVideos(stack: Stack): Promise<void> {
  for (const table of ['BulkAction', 'Timeline', 'Submission', 'SceneVideo', 'IdempotencyKey'])
    await stack.db.$executeRawUnsafe(`TRUNCATE "${table}" CASCADE`)
}
