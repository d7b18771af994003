import { describe, expect, it } from 'vitest'
import {
  decideAcceptance,
  decideCancel,
  decideIntent,
  isToLookUp,
  requireRetry,
  type SendFacts,
  type VideoFacts,
} from './decisions.ts'

const pending: VideoFacts = {
  status: 'pending',
  phase: 'queued',
  attempt: 1,
  taskId: null,
  cancelRequested: false,
  requestedAt: new Date(10_000),
}
const sends = (...answers: (string | null)[]): SendFacts[] =>
  answers.map((answer, i) => ({
    attempt: 1,
    send: i + 1,
    answer,
    taskId: answer === 'accepted' ? `task-${i + 1}` : null,
    lookedAt: null,
  }))

describe('an intent', () => {
  const intend = (send: number, answers: (string | null)[], video: Partial<VideoFacts> = {}) =>
    decideIntent({ ...pending, ...video }, sends(...answers), { attempt: 1, send })

  it.each([
    ['the first', 1, [], 'insert'],
    ['after an absence', 2, ['absent'], 'insert'],
    ['in the row of one told to come later', 2, ['later'], 'replace'],
    ['of a number that somebody else has', 1, [null], null],
    ['of a number that somebody else has, absent meanwhile', 1, ['absent'], null],
    ['that leaves a number out', 3, ['absent'], null],
    ['after one without an answer', 2, [null], null],
    ['after an acceptance', 2, ['accepted'], null],
    ['after one that nobody can tell of', 2, ['lost'], null],
    ['the third', 3, ['absent', 'absent'], 'insert'],
    ['the fourth', 4, ['absent', 'absent', 'absent'], null],
  ] as const)('%s', (_, send, answers, decision) => {
    expect(intend(send, [...answers])).toBe(decision)
  })

  it.each([
    ['after a retry', { attempt: 2 }],
    ['after the end', { status: 'failed' }],
    ['when it has its task', { taskId: 't' }],
    ['when a cancel was asked for', { cancelRequested: true }],
  ] as const)('is refused %s', (_, video) => expect(intend(1, [], video)).toBeNull())

  it('counts the sends of its own attempt alone', () => {
    const earlier = sends('absent', 'absent', 'absent')
    expect(decideIntent({ ...pending, attempt: 2 }, earlier, { attempt: 2, send: 1 })).toBe(
      'insert',
    )
  })
})

describe('an acceptance', () => {
  const accept = (
    video: Partial<VideoFacts>,
    earlier: SendFacts[],
    task: { taskId?: string; attempt?: number; how?: 'answer' | 'lookup' | 'adopted' } = {},
  ) =>
    decideAcceptance({ ...pending, ...video }, earlier, {
      attempt: 1,
      send: 1,
      taskId: 'task-1',
      how: 'answer',
      ...task,
    })

  it('moves a video that waits for it, and changes nothing when repeated', () => {
    expect(accept({}, sends(null))).toEqual({ fate: 'taken', moves: true, record: 'on_send' })
    expect(accept({ taskId: 'task-1' }, sends('accepted'))).toEqual({
      fate: 'taken',
      moves: false,
      record: 'known',
    })
  })

  it('overwrites no task id once seen: a second one gets a row of its own', () => {
    expect(accept({ taskId: 'task-1' }, sends('accepted'), { taskId: 'other' })).toEqual({
      fate: 'duplicate',
      moves: false,
      record: 'beside',
    })
  })

  it('is recorded, and no more, when the video does not wait for it', () => {
    const onSend = { fate: 'late', moves: false, record: 'on_send' }
    expect(accept({ status: 'failed' }, sends(null))).toEqual(onSend)
    expect(accept({ attempt: 2 }, sends(null))).toEqual(onSend)
    expect(accept({ attempt: 2, taskId: 't' }, sends(null))).toEqual(onSend)
    expect(accept({ attempt: 2 }, sends(null), { how: 'adopted' })).toMatchObject({ moves: true })
  })

  it('needs its intent', () => {
    expect(() => accept({}, [])).toThrow('never intended')
  })
})

it('cancels at once while nothing can have been accepted, else by flag', () => {
  const cancel = (video: Partial<VideoFacts>, answers: (string | null)[]) =>
    decideCancel({ ...pending, ...video }, sends(...answers), null)
  expect(cancel({}, [])).toBe('at_once')
  expect(cancel({}, ['absent', 'later'])).toBe('at_once')
  expect(cancel({}, ['absent', null])).toBe('flag')
  expect(cancel({ taskId: 't' }, ['accepted'])).toBe('flag')
  expect(cancel({ attempt: 2 }, [null])).toBe('at_once')
  expect(() => cancel({ status: 'completed' }, [])).toThrow('already')
  expect(() => decideCancel(pending, [], 2)).toThrow('current attempt is 1')
})

it('retries what has failed, at the attempt that is meant', () => {
  const failed = { ...pending, status: 'failed' } as const
  expect(() => requireRetry(failed, null)).not.toThrow()
  expect(() => requireRetry(failed, 1)).not.toThrow()
  expect(() => requireRetry({ ...failed, attempt: 2 }, 1)).toThrow('current attempt is 2')
  expect(() => requireRetry(pending, 1)).toThrow('Only a failed video')
})

describe('a look before anything is sent', () => {
  const toLookUp = (attempt: number, answer: string | null, lookedAt: Date | null = null) =>
    isToLookUp({ ...pending, attempt: 2 }, { attempt, send: 1, answer, taskId: null, lookedAt })
  const [before, after] = [new Date(9_999), new Date(10_000)]

  it.each([
    [1, 'lost', null, true],
    [1, 'lost', before, true],
    [1, 'lost', after, false],
    [1, 'refused', null, true],
    [1, 'refused', before, false],
    [1, 'absent', null, false],
    [1, 'later', null, false],
    [1, null, after, true],
    [1, 'accepted', after, true],
    [2, 'refused', null, false],
    [2, 'lost', null, true],
    [2, 'unreadable', null, true],
  ])('attempt 2, a send of attempt %i, %s, last looked at %s: %s', (attempt, answer, at, is) => {
    expect(toLookUp(attempt, answer, at)).toBe(is)
  })
})
