/** What became of the tasks of a video that ended without them: a late success goes onto the timeline with its link. */
import { Later } from '#libs/bus/work.ts'
import { ownId } from '#libs/scene-video/scene-video.ts'
import { accountOf, type SubmitContext } from './submit-video.ts'

export async function settleVideo(context: SubmitContext, id: string): Promise<void> {
  const loaded = await context.store.load(id)
  if (!loaded || loaded.video.status !== 'failed') return
  for (const submission of loaded.submissions) {
    if (submission.settledAt !== null) continue
    const { answer } = await context.provider.get(accountOf(context, submission), submission.taskId ?? ownId(id, submission.attempt))
    if (answer.kind === 'later') throw new Later(answer.retryAfterMs ?? 10_000)
    if (answer.kind !== 'done' && answer.kind !== 'failed') continue
    const detail = answer.kind === 'done' ? { videoUrl: answer.videoUrl, expiresAt: answer.expiresAt } : { code: answer.error.code }
    const said = answer.kind === 'done' ? 'completed' : 'failed'
    if (await context.store.noteLate(id, submission.attempt, submission.send, said, detail)) context.log.warn({ video: id, said }, 'Late result noted')
  }
}
