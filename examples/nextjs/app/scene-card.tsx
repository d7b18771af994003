'use client'
import type { ScenePath, SceneVideo } from '@reelkeeper/client'
import { ReelkeeperContext, useSceneVideo } from '@reelkeeper/client/react'
import { useContext, useEffect, useState } from 'react'

/** Submits, then shows the video live until it plays; also after the page was loaded again. */
export function SceneCard({ scene }: { scene: ScenePath }) {
  const reelkeeper = useContext(ReelkeeperContext)
  const [id, setId] = useState<string | null>(null)
  const place = `video of ${scene.sceneId}`
  useEffect(() => setId(localStorage.getItem(place)), [place])
  const [refusal, setRefusal] = useState<string | null>(null)
  const { loading, video, error } = useSceneVideo(id)

  const [isSubmitting, setSubmitting] = useState(false)
  const generate = async () => {
    setRefusal(null)
    setSubmitting(true)
    await reelkeeper.generateVideo(scene).then(
      (video) => {
        localStorage.setItem(place, video.id)
        setId(video.id)
      },
      (err: Error) => setRefusal(err.message),
    )
    setSubmitting(false)
  }
  // a second click, however late, is no second video
  const isOpen =
    id !== null && !error && video?.status !== 'completed' && video?.status !== 'failed'
  return (
    <article>
      <button onClick={generate} disabled={isSubmitting || isOpen}>
        Generate
      </button>
      {loading && <p>…</p>}
      {video && <Progress video={video} />}
      {(refusal ?? error) && <p role="alert">{refusal ?? error?.message}</p>}
    </article>
  )
}

function Progress({ video }: { video: SceneVideo }) {
  if (video.videoUrl)
    return (
      <video
        src={video.videoUrl}
        autoPlay
        muted
        loop
        playsInline
        controls
        style={{ width: '100%' }}
      />
    )
  if (video.error) return <p role="alert">{video.error.message}</p>
  return (
    <p>
      <progress max={100} {...(video.progress === null ? {} : { value: video.progress })} />{' '}
      {video.status}, {video.phase}
    </p>
  )
}
