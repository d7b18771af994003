import { expect, it } from 'vitest'
import { isOutage } from './errors.ts'

it.each(['EMFILE', 'ENFILE', 'ENOBUFS', 'EADDRNOTAVAIL', 'ENETDOWN', 'EHOSTDOWN'])(
  'counts %s, as Prisma passes it on where a process has no file or address left',
  (code) => {
    expect(isOutage(Object.assign(new Error(`connect ${code}`), { code }))).toBe(true)
  },
)

it('counts a disk that Postgres cannot read or write, and no value that it refuses', () => {
  const ofPostgres = (originalCode: string) =>
    Object.assign(new Error('x'), { meta: { driverAdapterError: { cause: { originalCode } } } })
  for (const code of ['53100', '58030', '58P01'])
    expect(isOutage(ofPostgres(code)), code).toBe(true)
  for (const code of ['22001', '23505', '42703'])
    expect(isOutage(ofPostgres(code)), code).toBe(false)
})
