/** Declarations through the suite of all, against their dialects in the simulator. */
import { expect, it } from 'vitest'
import { conformance } from '../../../test/conformance/provider.ts'
import { subjectOf, type Subject } from '../../../test/conformance/provider-bench.ts'
import { againstTheSimulator } from '../../../test/conformance/provider-live.ts'
import { describeProviders, dialectOf } from '../registry.ts'
import { createRestProvider } from '../rest.ts'
import { configuredProviders } from '../settings.ts'
import { toapis } from '../toapis.ts'
import { createToapis } from '../../../test/support/toapis.ts'
import { ark } from './ark.ts'
import { kling } from './kling.ts'
import { openaiVideos } from './openai-videos.ts'

const subjects: Subject[] = [
  subjectOf(toapis),
  subjectOf(toapis, {
    name: 'toapis, by its other answer, without look-up by own id',
    model: 'seedance-2',
    make: (options) => createToapis({ ...options, allowPrivate: true, findByOwnId: false }),
  }),
  subjectOf(ark),
  subjectOf(ark, {
    name: 'ark, where our own id is not taken',
    make: (options) =>
      createRestProvider(dialectOf(ark, { SAFETY_IDENTIFIER: false }), {
        ...options,
        allowPrivate: true,
      }),
  }),
  subjectOf(kling),
  subjectOf(openaiVideos),
  subjectOf(openaiVideos, { name: 'openai-videos, at a relay', model: 'relay-1' }),
]
subjects.forEach(conformance)
againstTheSimulator(subjects)

it('describes every provider, with what may be promised of a lost create', () => {
  const all = describeProviders(configuredProviders({ PROVIDERS: [] }))
  expect(all.map(({ name, guarantee }) => [name, guarantee])).toEqual([
    ['toapis', 'proven'],
    ['fal', 'by_match'],
    ['ark', 'by_match'],
    ['kling', 'proven'],
    ['kling-v1', 'proven'],
    ['dashscope', 'by_match'],
    ['minimax', 'none'],
    ['minimax-hailuo', 'none'],
    ['vidu', 'by_match'],
    ['tencent-vod', 'by_match'],
    ['vertex', 'by_match'],
    ['gemini', 'none'],
    ['openai-videos', 'none'],
    ['xai', 'none'],
    ['runway', 'none'],
    ['openrouter', 'none'],
    ['replicate', 'by_match'],
    ['vercel', 'by_key'],
    ['luma', 'none'],
    ['luma-dream-machine', 'by_match'],
    ['kie', 'none'],
  ])
})

it('knows kling’s webhooks by the signature that its documentation gives as an example', () => {
  const body =
    '{"id":"1234567890","status":"succeeded","message":"","create_time":1781080778802,"update_time":1781080794151}'
  const headers: Record<string, string> = {
    'webhook-id': '9876543210',
    'webhook-timestamp': '1781080794',
    'webhook-signature': 'v1,UsKlJP00XoQyOn410NM9xv34sP+Gl0jnOO9Lcpr7NJ4=',
  }
  const delivery = { method: 'POST', path: '/', header: (name: string) => headers[name] ?? '' }
  const secret = 'whsec_dGVzdHNlY3JldHRlc3RzZWNyZXR0ZXN0c2VjcmV0MTI='
  const isSigned = (text: string) =>
    kling.webhook!.isSigned!(secret, { ...delivery, body: text }, 1_781_080_800)
  expect(isSigned(body)).toBe(true)
  expect(isSigned(body.replace('1234567890', '1234567891'))).toBe(false)
  expect(kling.webhook!.taskIdIn(JSON.parse(body))).toBe('1234567890')
})
