import { expect, it } from 'vitest'
import type { OwedEvent } from '#libs/scene-video/messages.ts'
import { LastPublishedCache } from './last-published.ts'

const event = (version: number, after?: number) =>
  ({ body: { id: 'v', version }, ...(after === undefined ? {} : { after }) }) as OwedEvent

it('believes Postgres what precedes an event only while the stream was compared with it', () => {
  const reconnected: (() => void)[] = []
  const cache = new LastPublishedCache({ onReconnect: (one) => void reconnected.push(one) })
  expect(cache.take(event(3, 7))).toBeUndefined()
  cache.streamIsWhole()
  expect(cache.take(event(3, 7))).toEqual({ sequence: 7, version: 2 })
  expect(cache.take(event(3))).toBeUndefined()
  for (const listener of reconnected) listener()
  expect(cache.take(event(3, 7))).toBeUndefined()
})

it('rather knows what was published here, and each head once', () => {
  const cache = new LastPublishedCache({ onReconnect: () => {} })
  cache.streamIsWhole()
  cache.keep('v', { sequence: 9, version: 2 })
  expect(cache.take(event(3, 7))).toEqual({ sequence: 9, version: 2 })
  expect(cache.take(event(3))).toBeUndefined()
})
