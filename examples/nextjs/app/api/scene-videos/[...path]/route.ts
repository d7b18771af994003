/**
 * Passes reading one video and its live stream on, with the server's key; nothing else. Where a
 * platform ends long responses, let the page stream from Reelkeeper itself instead: hand it a token
 * from `POST /api/stream-tokens`.
 */
import { upstream } from '../../../../lib/config'
import { isOwnPage, notOwnPage } from '../../../../lib/own-page'

const passedOn = /^[0-9a-f-]{36}(\/events)?$/

export async function GET(
  request: Request,
  { params }: { params: Promise<{ path: string[] }> },
): Promise<Response> {
  if (!isOwnPage(request)) return notOwnPage()
  // Check here that whoever is signed in may see this video.
  const path = (await params).path.join('/')
  if (!passedOn.test(path)) return new Response('Not found', { status: 404 })
  const { baseUrl, apiKey } = upstream()
  const headers = new Headers({ authorization: `Bearer ${apiKey}` })
  const lastEventId = request.headers.get('last-event-id')
  if (lastEventId) headers.set('last-event-id', lastEventId)
  const url = `${baseUrl}/api/scene-videos/${path}`
  const answer = await fetch(url, { headers, signal: request.signal, cache: 'no-store' }).catch(
    () => null,
  )
  if (!answer) return new Response('Reelkeeper cannot be reached.', { status: 502 })
  // no-transform: a stream that is compressed on the way arrives late.
  return new Response(answer.body, {
    status: answer.status,
    headers: {
      'content-type': answer.headers.get('content-type') ?? '',
      'cache-control': 'no-store, no-transform',
    },
  })
}
