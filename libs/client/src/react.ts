'use client'
/**
 * Videos in React components, live until they end or the component goes.
 *
 * A browser allows six connections to one host over HTTP/1.1. `useSceneVideo(id)` holds one for
 * each component. `useSceneVideos(target)`, and `useSceneVideo(id, target)`, share one: all
 * components with the same client and target read the same stream.
 */
import {
  createContext,
  useCallback,
  useContext,
  useEffect,
  useMemo,
  useState,
  useSyncExternalStore,
} from 'react'
import { Reelkeeper, type SceneVideo } from './client.ts'
import { sharedWatch, type SharedTarget, type SharedWatch } from './shared-watch.ts'

export type { SharedTarget } from './shared-watch.ts'

/** The client that hooks use; without a provider, one that asks the page's own origin. */
export const ReelkeeperContext = createContext(new Reelkeeper({ baseUrl: '' }))

export interface SceneVideoState {
  /** Nothing is known yet. */
  loading: boolean
  video: SceneVideo | null
  /** Why it is not followed any more. */
  error: Error | null
}

const unknown: SceneVideoState = { loading: true, video: null, error: null }
const none: SceneVideoState = { loading: false, video: null, error: null }

export interface SceneVideosState {
  loading: boolean
  /** Newest first. */
  videos: readonly SceneVideo[]
  error: Error | null
}

function useShared(target: SharedTarget | null): {
  watch: SharedWatch | null
  state: SceneVideosState
} {
  const client = useContext(ReelkeeperContext)
  const key = target === null ? null : (target.projectId ?? '')
  const watch = useMemo(
    () => (key === null ? null : sharedWatch(client, key === '' ? {} : { projectId: key })),
    [client, key],
  )
  const subscribe = useCallback(
    (changed: () => void) => watch?.subscribe(changed) ?? (() => {}),
    [watch],
  )
  const snapshot = () => watch?.state ?? noVideos
  return { watch, state: useSyncExternalStore(subscribe, snapshot, () => noVideos) }
}
const noVideos: SceneVideosState = { loading: true, videos: [], error: null }

/** A project's videos, or all one may see: one connection, however many components ask. */
export function useSceneVideos(target: SharedTarget = {}): SceneVideosState & {
  reload: () => void
} {
  const { watch, state } = useShared(target)
  return { ...state, reload: useCallback(() => watch?.restart(), [watch]) }
}

/**
 * `id` null: no video yet. With a `target` the video is read from the stream that is shared for it.
 * `reload` follows again, after an error or a retry.
 */
export function useSceneVideo(
  id: string | null,
  target: SharedTarget | null = null,
): SceneVideoState & { reload: () => void } {
  const own = useOwnStream(target === null ? id : null)
  const { watch, state } = useShared(target)
  useEffect(() => (id === null ? undefined : watch?.want(id)), [watch, id])
  const reload = useCallback(() => watch?.restart(), [watch])
  if (watch === null) return own
  if (id === null) return { ...none, reload }
  const video = watch.find(id)
  const error = state.error ?? watch.missing(id)
  return { loading: video === null && error === null, video, error, reload }
}

function useOwnStream(id: string | null): SceneVideoState & { reload: () => void } {
  const client = useContext(ReelkeeperContext)
  const [round, setRound] = useState(0)
  const [followed, setFollowed] = useState<{ id: string | null; state: SceneVideoState }>({
    id,
    state: unknown,
  })
  const reload = useCallback(() => setRound((round) => round + 1), [])

  useEffect(() => {
    if (id === null) return
    const stop = new AbortController()
    const show = (change: Partial<SceneVideoState>) => {
      if (!stop.signal.aborted)
        setFollowed((before) => ({
          id,
          state: { ...(before.id === id ? before.state : unknown), loading: false, ...change },
        }))
    }
    const follow = async () => {
      for await (const video of client.watch({ videoId: id }, { signal: stop.signal }))
        show({ video, error: null })
    }
    follow().catch((error: Error) => show({ error }))
    return () => stop.abort()
  }, [client, id, round])

  return { ...(id === null ? none : followed.id === id ? followed.state : unknown), reload }
}
