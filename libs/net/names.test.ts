/** Names of hosts, some of whose servers are silent. */
import { createSocket } from 'node:dgram'
import { lookup as byThread } from 'node:dns/promises'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { lookupAsMachine, lookupByDns } from './names.ts'

/**
 * Knows the address of `known.test` and `slow-known.test`, no other, and says nothing of what is
 * called silent. The other kind of address of what is called slow is told two seconds later.
 */
const server = createSocket('udp4')
server.on('message', (query, { port, address }) => {
  const end = query.indexOf(0, 12) + 5
  const question = query.subarray(12, end)
  if (question.includes('silent')) return
  const isSlow = question.includes('slow') && query.readUInt16BE(end - 4) !== 1
  const isKnown = question.includes('known') && (isSlow || query.readUInt16BE(end - 4) === 1)
  const head = Buffer.from(query.subarray(0, 12))
  head.writeUInt16BE(question.includes('known') ? 0x8180 : 0x8183, 2)
  head.writeUInt16BE(isKnown ? 1 : 0, 6)
  head.writeUInt16BE(0, 10)
  const bytes = isSlow ? [0x20, 1, 0xd, 0xb8, ...Array<number>(11).fill(0), 7] : [192, 0, 2, 7]
  const type = isSlow ? 28 : 1
  const record = Buffer.from([0xc0, 12, 0, type, 0, 1, 0, 0, 0, 1, 0, bytes.length, ...bytes])
  const answer = Buffer.concat([head, question, ...(isKnown ? [record] : [])])
  setTimeout(() => server.send(answer, port, address), isSlow ? 2_000 : 0)
})
type Lookup = (name: string, options: object) => Promise<unknown>
let lookup: Lookup
let asMachine: Lookup
beforeAll(async () => {
  await new Promise<void>((resolve) => server.bind(0, '127.0.0.1', resolve))
  const at = [{ timeout: 3_000, tries: 1 }, [`127.0.0.1:${server.address().port}`]] as const
  lookup = promisify(lookupByDns(at[0], [...at[1]])) as Lookup
  asMachine = promisify(lookupAsMachine(at[0], [...at[1]])) as Lookup
})
afterAll(async () => {
  // what is told late is sent by then
  await new Promise((resolve) => setTimeout(resolve, 2_000))
  server.close()
})

it.each(['users', 'the operator'])('resolves a name of %s while others are silent', async (of) => {
  const find = of === 'users' ? lookup : asMachine
  const settled: string[] = []
  const silent = Array.from({ length: 40 }, (_, i) =>
    find(`silent-${i}.test`, { all: true }).catch((err: NodeJS.ErrnoException) => {
      settled.push(err.code!)
    }),
  )
  expect(await find('known.test', { all: true })).toEqual([{ address: '192.0.2.7', family: 4 }])
  expect(settled).toEqual([])
  await Promise.all(silent)
  expect(new Set(settled)).toEqual(new Set(['ETIMEOUT']))
})

it('waits for no kind of address that is told late, or never', async () => {
  expect(await lookup('slow-known.test', { all: true })).toEqual([
    { address: '192.0.2.7', family: 4 },
  ])
})

it('says of a name that there is none', async () => {
  await expect(lookup('nobody.test', { all: true })).rejects.toMatchObject({ code: 'ENOTFOUND' })
  await expect(lookup('known.test', { family: 6 })).rejects.toMatchObject({ code: 'ENOTFOUND' })
})

it('leaves this machine’s own name to it', async () => {
  expect(await lookup('localhost', { all: true })).toEqual(
    await byThread('localhost', { all: true }),
  )
})

it('finds the operator’s hosts where the machine finds them', async () => {
  const options = { all: true }
  expect(await asMachine('localhost', options)).toEqual(await byThread('localhost', options))
  await expect(asMachine('nobody.test', options)).rejects.toMatchObject({ syscall: 'getaddrinfo' })
})
