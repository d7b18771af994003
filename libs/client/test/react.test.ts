/** The hook in a component, against a gateway whose stream the test writes. */
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Window } from 'happy-dom'
import { createElement } from 'react'
import type { Container, Root } from 'react-dom/client'
import { afterAll, afterEach, beforeAll, beforeEach, expect, it, vi } from 'vitest'
import { Reelkeeper, type SceneVideo } from '../src/client.ts'
import { ReelkeeperContext, useSceneVideo, type SceneVideoState } from '../src/react.ts'

// Only what React looks for: fetch and AbortController stay Node's.
const window = new Window()
Object.assign(globalThis, { window, document: window.document })
const { createRoot } = await import('react-dom/client')

const streams = new Map<string, ServerResponse>()
const closed: string[] = []
const server = createServer((question, answer) => {
  const id = question.url!.split('/')[3]!
  if (id === 'absent')
    return void answer
      .writeHead(404, { 'content-type': 'application/problem+json' })
      .end(JSON.stringify({ code: 'not_found', detail: 'There is no such video.' }))
  answer.writeHead(200, { 'content-type': 'text/event-stream' }).write('retry: 1000\n\n')
  answer.on('close', () => {
    closed.push(id)
    streams.delete(id)
  })
  streams.set(id, answer)
})
const tell = async (id: string, version: number, change: Partial<SceneVideo> = {}) => {
  const stream = await vi.waitUntil(() => streams.get(id), 10_000)
  stream.write(
    `id: 7-${version}\nevent: progress\ndata: ${JSON.stringify({ id, version, status: 'generating', progress: version, ...change })}\n\n`,
  )
}

let client: Reelkeeper
let root: Root
let shown: (SceneVideoState & { id: string | null; reload: () => void })[] = []
const Card = ({ id }: { id: string | null }) => {
  shown.push({ id, ...useSceneVideo(id) })
  return null
}
const render = (id: string | null) =>
  root.render(createElement(ReelkeeperContext, { value: client }, createElement(Card, { id })))
const shows = (state: object) => vi.waitFor(() => expect(shown.at(-1)).toMatchObject(state), 10_000)
const closes = (id: string) => vi.waitUntil(() => closed.includes(id), 10_000)

beforeAll(async () => {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  client = new Reelkeeper({ baseUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}` })
})
beforeEach(() => {
  shown = []
  closed.length = 0
  root = createRoot(window.document.createElement('div') as unknown as Container)
})
afterEach(() => root.unmount())
afterAll(() => {
  server.closeAllConnections()
  server.close()
})

it('shows nothing for no video, loading, then each state until the end', async () => {
  render(null)
  await shows({ id: null, loading: false, video: null, error: null })
  render('a')
  await shows({ id: 'a', loading: true, video: null, error: null })
  await tell('a', 1)
  await shows({ loading: false, video: { version: 1 } })
  await tell('a', 2)
  await shows({ video: { version: 2, progress: 2 } })
  await tell('a', 3, { status: 'completed' })
  await shows({ loading: false, video: { status: 'completed' }, error: null })
  await closes('a')
})

it('lets go of the stream when it is unmounted, and when the video is another', async () => {
  render('b')
  await tell('b', 1)
  await shows({ video: { id: 'b' } })
  render('c')
  await closes('b')
  await tell('c', 1)
  await shows({ video: { id: 'c' } })
  expect(
    shown.filter(({ id, video }) => video && video.id !== id),
    'never another video’s state',
  ).toEqual([])
  root.unmount()
  await closes('c')
})

it('tells an error, and follows again when asked', async () => {
  render('absent')
  await shows({ loading: false, video: null, error: { code: 'not_found' } })
  render('d')
  await tell('d', 1, { status: 'failed' })
  await shows({ video: { status: 'failed' } })
  await closes('d')
  shown.at(-1)!.reload()
  await tell('d', 2, { status: 'pending' })
  await shows({ video: { status: 'pending', version: 2 } })
})
