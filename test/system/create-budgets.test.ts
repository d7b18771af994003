/**
 * The limits of one account over two submits, judged by who was charged: creates a minute, and
 * tasks at work at once. Users share an account in turn, and what waits says until when. Both are
 * seen beside each other: a minute passes in the meantime.
 */
import { it } from 'vitest'
import { Stack } from '../support/gateway-kit.ts'
import { pause, until, type LedgerRow } from '../support/system.ts'

async function start(stack: Stack): Promise<void> {
  await stack.start()
  await stack.submit()
  await stack.poller()
  await stack.simulate({ tier: 'off' })
}

type Charged = LedgerRow & { created_at: string; finished_at: string | null }
const charged = async (stack: Stack) => {
  const response = await fetch(`${stack.simulatorUrl}/ledger`)
  return ((await response.json()) as { tasks: Charged[] }).tasks
}
const createdAt = (row: Charged) => Date.parse(row.created_at)

/** Asked again where the gateway has no room. */
const make = (stack: Stack, count: number, key: string): Promise<string[]> =>
  Promise.all(
    Array.from({ length: count }, () =>
      until('a video to be accepted', async () => {
        const { status, body } = await stack.ask('POST', '/api/videos', {
          key,
          body: { prompt: 'x' },
        })
        return status === 202 ? String(body['id']) : undefined
      }),
    ),
  )

it.concurrent(
  'makes as many a minute as the account may, and no user waits for another',
  async ({ expect }) => {
    await using stack = new Stack({ TOAPIS_CREATE_PER_MINUTE: '120' })
    await start(stack)
    await stack.simulate({ minSeconds: 600, maxSeconds: 600 })
    const [many, one] = [await stack.stranger(), await stack.stranger()]
    const from = Date.now()
    const ids = await make(stack, 200, many)
    expect(ids).toHaveLength(200)
    const waiting = await until('some to wait', async () => {
      const { body } = await stack.ask('GET', '/api/scene-videos?phase=throttled', { key: many })
      const [one] = body['data'] as unknown as { status: string; waiting: object }[]
      return one && { status: one.status, why: one.waiting }
    })
    expect(waiting).toMatchObject({
      status: 'pending',
      why: { reason: 'the account’s limit of 120 creates a minute', until: expect.any(String) },
    })
    await pause(10_000)
    const asked = Date.now()
    const [own = ''] = await make(stack, 1, one)
    const made = () =>
      charged(stack).then((all) => all.find((row) => row.client_business_id === `${own}-1`))
    const madeAt = createdAt(await until('the other user’s to be made', made))
    const before = (await charged(stack)).map(createdAt).filter((at) => at > asked && at < madeAt)
    // those that waited before it are dozens
    expect(before.length).toBeLessThan(20)

    await pause(Math.max(0, from + 70_000 - Date.now()))
    const times = (await charged(stack)).map(createdAt).toSorted((a, b) => a - b)
    const within = (begin: number, ms: number) =>
      times.filter((at) => at >= begin && at < begin + ms).length
    expect(Math.max(...times.map((at) => within(at, 60_000)))).toBeLessThanOrEqual(120)
    // most of the rate is used, however busy the machine is
    expect(within(times[0]!, 60_000)).toBeGreaterThanOrEqual(80)
  },
)

it.concurrent(
  'has no more tasks at work than the account may, and takes the next when one ends',
  async ({ expect }) => {
    await using stack = new Stack({ TOAPIS_PARALLEL_TASKS: '3' })
    await start(stack)
    // the provider refuses a fourth
    await stack.simulate({ minSeconds: 2, maxSeconds: 3, maxParallel: 3 })
    const key = await stack.stranger()
    const ids = await make(stack, 12, key)
    await until(
      'all to be made',
      async () => {
        const asked = ids.map((id) => stack.ask('GET', `/api/scene-videos/${id}`, { key }))
        const all = await Promise.all(asked)
        return all.every(({ body }) => body['status'] === 'completed') || undefined
      },
      120_000,
    )
    expect(await charged(stack)).toHaveLength(12)
    const sends = await stack.db.submission.findMany()
    // every one was accepted at once: none was refused in between
    expect(sends.map(({ send, answer }) => [send, answer])).toEqual(ids.map(() => [1, 'accepted']))
  },
)
