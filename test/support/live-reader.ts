/** Readers of live streams that keep what they hear. */
import { expect } from 'vitest'
import type { SceneVideo } from '#libs/scene-video/scene-video.ts'
import type { Stack } from './gateway-kit.ts'
import { until } from './system.ts'

export interface Message {
  id: string
  event: string
  data: SceneVideo | null
}

abstract class Heard {
  readonly messages: Message[] = []
  ended = false

  async heard(what: string, test: (message: Message) => boolean): Promise<Message> {
    return until(what, () => this.messages.find(test))
  }

  abstract close(): void
}

/** Of server-sent events. */
export class SseReader extends Heard {
  /** The end of what was heard. */
  text = ''
  #rest = ''
  readonly #abort = new AbortController()

  static async open(
    stack: Stack,
    path = '/api/events',
    options: { url?: string; lastEventId?: string; key?: string | null } = {},
  ): Promise<SseReader> {
    const reader = new SseReader()
    const { url = stack.gatewayUrl, lastEventId, key = stack.apiKey } = options
    const headers = {
      ...(key === null ? {} : { authorization: `Bearer ${key}` }),
      ...(lastEventId ? { 'last-event-id': lastEventId } : {}),
    }
    const response = await fetch(url + path, { headers, signal: reader.#abort.signal })
    expect(response.status).toBe(200)
    void (async () => {
      const decoder = new TextDecoder()
      for await (const chunk of response.body!)
        reader.#hear(decoder.decode(chunk, { stream: true }))
    })()
      .catch(() => {})
      .finally(() => (reader.ended = true))
    return reader
  }

  #hear(chunk: string): void {
    this.text = (this.text + chunk).slice(-500)
    this.#rest += chunk
    const frames = this.#rest.split('\n\n')
    this.#rest = frames.pop()!
    for (const frame of frames) {
      const fields = new Map(
        frame
          .split('\n')
          .map((line) => [line.slice(0, line.indexOf(': ')), line.slice(line.indexOf(': ') + 2)]),
      )
      const [id, event, data] = ['id', 'event', 'data'].map((name) => fields.get(name))
      if (id !== undefined)
        this.messages.push({
          id,
          event: event ?? '',
          data: data ? (JSON.parse(data) as SceneVideo) : null,
        })
    }
  }

  close(): void {
    this.#abort.abort()
  }
}

/** Of a WebSocket. */
export class WebSocketReader extends Heard {
  readonly #socket: WebSocket
  /** With which code it was closed. */
  readonly closed: Promise<number>

  private constructor(socket: WebSocket) {
    super()
    this.#socket = socket
    socket.addEventListener('message', ({ data }) =>
      this.messages.push(JSON.parse(String(data)) as Message),
    )
    this.closed = new Promise((resolve) =>
      socket.addEventListener('close', ({ code }) => {
        this.ended = true
        resolve(code)
      }),
    )
  }

  static async open(
    stack: Stack,
    {
      url = stack.gatewayUrl,
      projectId,
      token = stack.apiKey,
    }: { url?: string; projectId?: string; token?: string } = {},
  ): Promise<WebSocketReader> {
    // a key does not belong into an address
    const made = token.startsWith('rk_')
      ? (await stack.ask('POST', '/api/stream-tokens', { key: token, url })).body['token']
      : token
    const socket = new WebSocket(
      `${url.replace('http', 'ws')}/api/ws?token=${String(made)}${projectId ? `&projectId=${projectId}` : ''}`,
    )
    const reader = new WebSocketReader(socket)
    await new Promise((resolve, reject) => {
      socket.addEventListener('open', resolve)
      socket.addEventListener('error', () => reject(new Error('the WebSocket did not open')))
    })
    return reader
  }

  close(): void {
    this.#socket.close()
  }
}

export const isEnd = (id: string) => (one: Message) =>
  one.data?.id === id && (one.event === 'completed' || one.event === 'failed')
export const versions = (all: Message[], id: string) =>
  all
    .filter((one) => one.data?.id === id && one.event !== 'snapshot')
    .map((one) => one.data!.version)
