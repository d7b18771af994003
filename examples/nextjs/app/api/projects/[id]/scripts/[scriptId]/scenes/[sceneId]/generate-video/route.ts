/**
 * Asks Reelkeeper for a video. Nothing is polled here: after the 202 the video ends, whatever
 * becomes of this server. The page's Idempotency-Key is passed on, so a request that is sent again
 * is paid once.
 */
import { ReelkeeperError } from '@reelkeeper/client'
import { reelkeeper } from '../../../../../../../../../lib/config'
import { isOwnPage, notOwnPage } from '../../../../../../../../../lib/own-page'

type Params = { id: string; scriptId: string; sceneId: string }

export async function POST(
  request: Request,
  { params }: { params: Promise<Params> },
): Promise<Response> {
  if (!isOwnPage(request)) return notOwnPage()
  const { id: projectId, scriptId, sceneId } = await params
  // Check here that whoever is signed in may spend on this project.
  const idempotencyKey = request.headers.get('idempotency-key') ?? undefined
  const text = await request.text()
  try {
    const video = await reelkeeper().generateVideo(
      { projectId, scriptId, sceneId },
      text ? JSON.parse(text) : {},
      { idempotencyKey, signal: request.signal },
    )
    return Response.json(video, { status: 202 })
  } catch (err) {
    if (!(err instanceof ReelkeeperError)) throw err
    const { code, status, message: detail, errors } = err
    return Response.json(
      { code, status, detail, errors },
      { status: status || 503, headers: { 'content-type': 'application/problem+json' } },
    )
  }
}
