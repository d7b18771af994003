/**
 * What became of the tasks of a video that ended without them: a late success goes onto the
 * timeline with its link, and is counted.
 */
import { ask, isAbsent, isAskable } from './ask-about.ts'
import { recordTask } from './look-up.ts'
import type { SubmitContext } from './context.ts'

export async function settleVideo(context: SubmitContext, id: string): Promise<void> {
  const { config, log, late, store } = context
  const loaded = await store.load(id)
  if (!loaded || loaded.video.status !== 'failed') return
  for (const [index, submission] of loaded.submissions.entries()) {
    if (submission.settledAt !== null) continue
    const { attempt, send } = submission
    const ageMs = loaded.ageMs[index]!
    const wanted = { submission, video: loaded.video, ageMs }
    if (!isAskable(context, wanted)) {
      if (ageMs >= config.LOOKUP_WINDOW_MS)
        await store.answered(id, attempt, send, 'lost', 'cannot be looked up')
      continue
    }
    await store.looked(id, attempt, send)
    const { answer, taskId } = await ask(context, wanted)
    if (answer.kind === 'later') continue // asked again when its turn has come, see unsettledVideos
    if (taskId !== null && submission.taskId === null)
      await recordTask(context, { id, attempt, send, taskId, how: 'lookup' })
    // what is lost may show later
    if (submission.answer !== 'lost' && isAbsent(context, submission, answer))
      await store.answered(id, attempt, send, 'absent', 'not found for the whole window')
    if (answer.kind !== 'done' && answer.kind !== 'failed') continue
    const said = answer.kind === 'done' ? 'completed' : 'failed'
    const detail =
      answer.kind === 'done'
        ? { videoUrl: answer.videoUrl, expiresAt: answer.expiresAt }
        : { code: answer.error.code }
    if (!(await store.noteLate(id, attempt, send, said, detail))) continue
    late.inc({ said })
    log.warn({ video: id, said }, 'Late result noted')
  }
}
