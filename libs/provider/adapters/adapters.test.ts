/** Every declaration through the suite of all, against its dialect in the simulator. */
import { expect, it } from 'vitest'
import { dialects } from '#services/provider-simulator/dialects/index.ts'
import { conformance } from '../../../test/conformance/provider.ts'
import type { Subject } from '../../../test/conformance/provider-bench.ts'
import { againstTheSimulator } from '../../../test/conformance/provider-live.ts'
import type { Declaration } from '../declaration.ts'
import { describeProviders } from '../registry.ts'
import { createRestProvider } from '../rest.ts'
import { createToapis, toapisDeclaration } from '../toapis.ts'
import { ark } from './ark.ts'
import { kling } from './kling.ts'
import { openaiVideos } from './openai-videos.ts'

/** The simulator is on loopback, where a user's address may not lead. */
const subject = ({ dialect }: Declaration, more: Partial<Subject> = {}): Subject => ({
  name: dialect.name,
  make: (options) => createRestProvider(dialect, { ...options, allowPrivate: true }),
  dialect: dialects.get(dialect.name)!,
  tells: {
    expiry: dialect.task.expiresAt !== undefined,
    progress: dialect.task.progress !== undefined,
  },
  ...more,
})
const subjects: Subject[] = [
  subject(toapisDeclaration),
  subject(toapisDeclaration, {
    name: 'toapis, by its other answer, without look-up by own id',
    model: 'seedance-2',
    make: (options) => createToapis({ ...options, allowPrivate: true, findByOwnId: false }),
  }),
  subject(ark),
  subject(kling),
  subject(openaiVideos),
  subject(openaiVideos, { name: 'openai-videos, at a relay', model: 'relay-1' }),
]
subjects.forEach(conformance)
againstTheSimulator(subjects)

it('describes every provider, with what may be promised of a lost create', () => {
  expect(describeProviders().map(({ name, guarantee }) => [name, guarantee])).toEqual([
    ['toapis', 'proven'],
    ['fal', 'by_match'],
    ['ark', 'none'],
    ['kling', 'proven'],
    ['openai-videos', 'none'],
    ['xai', 'none'],
    ['runway', 'none'],
    ['openrouter', 'none'],
    ['replicate', 'by_match'],
    ['vercel', 'by_key'],
    ['luma', 'none'],
    ['luma-dream-machine', 'by_match'],
  ])
  expect(describeProviders(['nobody'])).toEqual([])
})
