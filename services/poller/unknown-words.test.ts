import { expect, it } from 'vitest'
import type { Logger } from '#libs/runtime/logger.ts'
import { UnknownWords } from './unknown-words.ts'

type Video = ReturnType<typeof video>

function words() {
  const logged: string[] = []
  const shown: string[] = []
  const log = { error: (fields: { said: string }) => void logged.push(fields.said) }
  const show = (video: Video, said: string) => void shown.push(`${video.id} ${said}`)
  return { unknown: new UnknownWords<Video>(log as unknown as Logger, show), logged, shown }
}
const video = (id: string, account = 'a') => ({ id, account: { id: account } })
const says = (said: string) => ({ kind: 'unknown', said, body: '{}' }) as const

it('logs a word once for an account, however many videos it is said of', () => {
  const { unknown, logged } = words()
  for (let n = 0; n < 1_000; n++) unknown.tell(video(`v${n}`), says('reticulating'))
  unknown.tell(video('v1'), says('annealing'))
  unknown.tell(video('w', 'another'), says('reticulating'))
  expect(logged).toEqual(['reticulating', 'annealing', 'reticulating'])
})

it('gives each word to the timeline once for a video, and no more than a few of them', () => {
  const { unknown, shown } = words()
  const of = video('v')
  unknown.tell(of, says('reticulating'))
  unknown.tell(of, says('reticulating'))
  unknown.tell(video('w'), says('reticulating'))
  for (let n = 0; n < 100; n++) unknown.tell(of, says(`word ${n}`))
  expect(shown.slice(0, 3)).toEqual(['v reticulating', 'w reticulating', 'v word 0'])
  expect(shown).toHaveLength(6)
})

it('logs no more than a bounded number of words of an account that says another one every time', () => {
  const { unknown, logged } = words()
  for (let n = 0; n < 1_000; n++) unknown.tell(video(`v${n}`), says(`at ${n}`))
  expect(logged).toHaveLength(20)
})

it('logs what is done without a result as well, and leaves its end to tell of it', () => {
  const { unknown, logged, shown } = words()
  const error = { code: 'no_result', message: 'no link' } as const
  unknown.tell(video('v'), { kind: 'unusable', error, body: '{}' })
  expect([logged, shown]).toEqual([['no link'], []])
})
