/**
 * One live stream: a snapshot or a replay first, then changes, in order and without a gap. What arrives while the
 * beginning is read is held back and sent after it. For a slow reader only the newest progress of a video is kept; a
 * reader that falls too far behind is cut off and may resume by id.
 */
import type { FeedEvent } from '#libs/bus/event-feed.ts'
import type { SceneVideo } from '#libs/scene-video/scene-video.ts'
import type { Context } from './app.ts'

export interface LiveMessage {
  id: string
  event: string
  data: SceneVideo
}

export interface Sink {
  /** False when the reader is slow: hold until `onDrain`. */
  write(message: LiveMessage): boolean
  onDrain(resume: () => void): void
  cut(): void
}

const mostQueued = 10_000

export interface Wanted {
  userId: string
  projectId?: string | undefined
  videoId?: string | undefined
}

const isWanted = (wanted: Wanted, { video }: FeedEvent) =>
  video.userId === wanted.userId && (!wanted.projectId || video.projectId === wanted.projectId) && (!wanted.videoId || video.id === wanted.videoId)

export async function stream(context: Context, wanted: Wanted, lastEventId: string | undefined, sink: Sink, signal: AbortSignal): Promise<void> {
  const { feed, reader } = context
  let queue: LiveMessage[] = []
  let begun = false
  let waiting = false
  let last = 0
  const versions = new Map<string, number>()

  const flush = () => {
    if (waiting || !begun) return
    const batch = queue
    queue = []
    for (const [index, message] of batch.entries()) {
      if (sink.write(message)) continue
      waiting = true
      queue = batch.slice(index + 1)
      sink.onDrain(() => {
        waiting = false
        flush()
      })
      return
    }
  }
  const push = (event: FeedEvent) => {
    if (!isWanted(wanted, event) || event.sequence <= last || (versions.get(event.video.id) ?? 0) >= event.video.version) return
    last = event.sequence
    const { userId: _, ...data } = event.video
    if (waiting && event.event === 'progress') queue = queue.filter((one) => one.event !== 'progress' || one.data.id !== data.id)
    queue.push({ id: event.id, event: event.event, data })
    if (queue.length > mostQueued) return sink.cut()
    flush()
  }
  const held: FeedEvent[] = []
  let deliver = (event: FeedEvent): void => void held.push(event)
  const unsubscribe = feed.subscribe((event) => deliver(event))
  signal.addEventListener('abort', unsubscribe, { once: true })

  begun = true
  const replay = lastEventId ? await feed.replay(lastEventId, signal) : null
  if (replay) {
    for await (const event of replay) push(event)
  } else {
    const position = `${feed.generation}-${feed.lastSequence()}`
    const videos = wanted.videoId ? [await reader.video(wanted.userId, wanted.videoId)] : await reader.liveVideos(wanted.userId, wanted.projectId)
    for (const video of videos) {
      if (!video) continue
      versions.set(video.id, video.version)
      queue.push({ id: position, event: 'snapshot', data: video })
    }
    flush()
  }
  for (const event of held) push(event)
  deliver = push
}
