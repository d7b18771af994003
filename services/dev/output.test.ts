import { describe, expect, it } from 'vitest'
import { readable } from './output.ts'

const line = (fields: object) =>
  JSON.stringify({ level: 'info', time: '2026-11-26T20:00:00.000Z', service: 'x', ...fields })

describe('a line on the terminal', () => {
  it('stays one line without colours of its own, whatever a service was told', () => {
    const forged = 'x\n19:59:59 gateway FORGED \u001b[31m\u0007\r\u009b31m\u2028\u202e'
    for (const text of [
      readable('gateway', line({ msg: forged, provider: forged })),
      readable('gateway', line({ msg: 'm', err: { type: 'Error', message: forged } })),
      readable('gateway', line({ msg: 'm', level: forged, deep: { forged } })),
      readable('gateway', `not JSON ${forged}`),
      readable('gateway', JSON.stringify(forged)),
    ])
      // eslint-disable-next-line no-control-regex
      expect(text).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e]/)
  })

  it('says the local time with its zone, the level as a word, and each id once', () => {
    const id = '0193-2222-1'
    const text = readable('poller-1', line({ msg: `Started polling for ${id}`, video: id, n: 1 }))
    expect(text).toMatch(
      /^\d\d:\d\d:\d\d[+-]\d{4} info {2}poller-1 Started polling for 0193-2222-1 n=1$/,
    )
    expect(text.split(id)).toHaveLength(2)
  })

  it('tells an error of many lines by its last one', () => {
    const message = '\nInvalid `db.user.find()` invocation:\n\n\nCan not reach the server'
    const err = { type: 'PrismaError', message, stack: 'at …' }
    expect(readable('status', line({ msg: 'failed', err }))).toMatch(
      /failed err=PrismaError: Can not reach the server$/,
    )
  })

  it('is coloured only where it is asked for', () => {
    expect(readable('x', line({ msg: 'm' }), true)).toContain('\u001b[36m')
    expect(readable('x', line({ msg: 'm' }), false)).not.toContain('\u001b')
  })
})
