/**
 * Prints deploy/asyncapi.json, the description of the events on NATS, from the schema that
 * validates them: `node deploy/asyncapi.ts > deploy/asyncapi.json`.
 */
import { z } from 'zod'
import { videoEventSchema } from '#libs/scene-video/messages.ts'
import { eventNames, type EventName } from '#libs/scene-video/scene-video.ts'

const told: Record<EventName, string> = {
  requested: 'Accepted, also a retry: `attempt` is one higher.',
  submitted: 'The provider has accepted it.',
  generating: 'The first answer of the provider about it.',
  progress: 'Progress or phase changed. May be kept for less time than the others.',
  completed: 'Done: `videoUrl` leads to it until `videoUrlExpiresAt`.',
  failed: 'Ended without a video: `error` says why.',
  stored: 'Its file is kept: see `file`.',
}
const text = (description: string, more: object = {}) => ({ type: 'string', description, ...more })
const headers = {
  type: 'object',
  required: ['ce-specversion', 'ce-id', 'ce-type', 'ce-source', 'ce-subject', 'ce-time'],
  properties: {
    'ce-specversion': text('Of CloudEvents', { const: '1.0' }),
    'ce-id': text('`<video>:<version>`: a consumer’s idempotency key'),
    'ce-type': text('`reelkeeper.video.<event>.v1`'),
    'ce-source': text('Whose events these are', { const: '/reelkeeper' }),
    'ce-subject': text('The video’s id'),
    'ce-time': text('When it was recorded', { format: 'date-time' }),
    'content-type': text('Of the body', { const: 'application/json' }),
    traceparent: text('W3C Trace Context: one trace a video'),
  },
}
const each = <T>(of: (event: EventName) => T) =>
  Object.fromEntries(eventNames.map((event) => [event, of(event)]))
const message = (event: EventName) => ({ $ref: `#/components/messages/${event}` })

/** Fields may be added, so nobody should refuse what is not described yet. */
const { $schema: _, ...payload } = z.toJSONSchema(videoEventSchema, {
  target: 'draft-7',
  override: ({ jsonSchema }) => {
    if (jsonSchema.additionalProperties === false) delete jsonSchema.additionalProperties
  },
})

export const asyncApi = () => ({
  asyncapi: '3.0.0',
  info: {
    title: 'Reelkeeper events',
    version: '1',
    description:
      'Stream `VIDEO` has each event once, per video in the order of `version`. Delivery is at least once. Who then reads the video at the gateway finds that version or a later one.',
  },
  defaultContentType: 'application/json',
  channels: each((event) => ({
    address: `video.${event}`,
    description: told[event],
    messages: { [event]: message(event) },
  })),
  operations: each((event) => ({
    action: 'send',
    channel: { $ref: `#/channels/${event}` },
    messages: [{ $ref: `#/channels/${event}/messages/${event}` }],
  })),
  components: {
    messages: each((event) => ({
      name: `reelkeeper.video.${event}.v1`,
      summary: told[event],
      headers: { $ref: '#/components/schemas/Headers' },
      payload: { $ref: '#/components/schemas/VideoEvent' },
    })),
    schemas: { Headers: headers, VideoEvent: payload },
  },
})

if (import.meta.main) process.stdout.write(`${JSON.stringify(asyncApi(), null, 2)}\n`)
