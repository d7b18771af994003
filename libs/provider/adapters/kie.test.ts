import { expect, it } from 'vitest'
import { talkTo } from '../../../test/support/adapter-talk.ts'
import { conformance } from '../../../test/conformance/provider.ts'
import { subjectOf } from '../../../test/conformance/provider-bench.ts'
import { againstTheSimulator } from '../../../test/conformance/provider-live.ts'
import { kie } from './kie.ts'

const subjects = [subjectOf(kie, { unsaid: ['policy', 'missing'] })]
subjects.forEach(conformance)
againstTheSimulator(subjects)

it.each([
  [401, 'bad_key'],
  [402, 'insufficient_balance'],
  [422, 'invalid_request'],
])('reads an error that is told with 200: %i', async (code, meant) => {
  const talk = await talkTo(kie)
  expect(await talk.create({}, { code, msg: 'why', data: null })).toMatchObject({
    kind: 'refused',
    error: { code: meant, message: 'why' },
  })
})

it('reads a result that is JSON in a text', async () => {
  const talk = await talkTo(kie)
  const link = 'https://k.example/v.mp4'
  const resultJson = JSON.stringify({ resultUrls: [link] })
  const data = { taskId: 't', state: 'success', resultJson }
  expect(await talk.get('t', { code: 200, data })).toMatchObject({ kind: 'done', videoUrl: link })
  expect(await talk.get('t', { code: 200, data: { ...data, resultJson: '' } })).toMatchObject({
    kind: 'unusable',
  })
})
