'use client'
/**
 * One video in a React component, live until it ends or the component goes.
 *
 * Each mounted hook holds one connection, and a browser allows six to one host over HTTP/1.1: serve
 * streams over HTTP/2, or show many videos from one `watch({ projectId })`.
 */
import { createContext, useCallback, useContext, useEffect, useState } from 'react'
import { Reelkeeper, type SceneVideo } from './client.ts'

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

/** `id` null: no video yet. `reload` follows again, after an error or a retry. */
export function useSceneVideo(id: string | null): SceneVideoState & { reload: () => void } {
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
