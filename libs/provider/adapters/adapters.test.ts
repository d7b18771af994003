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
    ['dashscope', 'by_match'],
    ['minimax', 'none'],
    ['minimax-hailuo', 'none'],
    ['vidu', 'by_match'],
    ['tencent-vod', 'by_match'],
    ['vertex', 'none'],
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
