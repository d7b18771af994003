/**
 * The limit of polling: CPU of one of our pollers per poll of a task that has not changed, against
 * a bare loop of undici GETs on the same server, turn by turn in one run. Both work at full speed:
 * the poller has more to do than it can.
 */
import { freePort } from '#services/dev/servers/ports.ts'
import { sleep } from '#libs/runtime/clock.ts'
import { Lab, metric } from '../lib/lab.ts'
import { median, text } from '../lib/numbers.ts'
import { part, type Context } from '../lib/part.ts'
import { Worker } from '../lib/processes.ts'
import { endlessTasks } from '../lib/tasks.ts'

export interface LimitOfPoller {
  /** Microseconds of CPU per poll or GET, pair by pair. */
  oursUs: number[]
  bareUs: number[]
  ratios: number[]
  medianRatio: number
}

const videos = 2_000
const turnMs = 4_000
const getsPerTurn = 40_000

async function limitOfPoller({ quick, say }: Context): Promise<LimitOfPoller> {
  const pairs = quick ? 3 : 7
  await using lab = await Lab.open()
  const healthPort = await freePort()
  const tasks = endlessTasks(videos)
  await lab.addVideos(tasks)
  await using services = new AsyncDisposableStack()
  services.use(await lab.service('status'))
  await using poller = await lab.service('poller', {
    POLL_INTERVAL_MS: '10',
    POLL_CONCURRENCY: '64',
    HEALTH_PORT: String(healthPort),
  })
  services.use(await lab.service('reconciler'))
  while ((await metric(healthPort, 'owned_videos')) < videos) await sleep(200)
  await using bare = await new Worker('bare-gets.ts', {}).ready()
  const gets = (total: number) =>
    bare.ask<number>('gets', { url: lab.providerUrl, ids: tasks, total, concurrency: 64 })
  await gets(10_000)
  await sleep(2_000)
  const ours: number[] = []
  const floor: number[] = []
  for (let i = 0; i < pairs; i++) {
    poller.child.kill('SIGCONT')
    await sleep(500)
    const read = async () => [await poller.ask<number>('cpu'), (await lab.counts()).calls] as const
    const [cpu, polls] = await read()
    await sleep(turnMs)
    const [cpuAfter, pollsAfter] = await read()
    poller.child.kill('SIGSTOP')
    ours.push(((cpuAfter - cpu) * 1000) / (pollsAfter - polls))
    floor.push(await gets(getsPerTurn))
    say(
      `pair ${i + 1}/${pairs}: ours ${text(ours[i], 1)} µs a poll (${text(((pollsAfter - polls) * 1000) / turnMs)}/s), bare GET ${text(floor[i], 1)} µs, ratio ${text(ours[i]! / floor[i]!, 2)}`,
    )
  }
  poller.child.kill('SIGCONT')
  const ratios = ours.map((us, i) => us / floor[i]!)
  return { oursUs: ours, bareUs: floor, ratios, medianRatio: median(ratios) }
}

export const limitPollerPart = part<LimitOfPoller>({
  name: 'limit-poller',
  title: 'The limit of polling',
  run: limitOfPoller,
  seconds: ({ quick }) => 15 + (quick ? 3 : 7) * 7,
  words: ({ oursUs, bareUs, medianRatio }) =>
    `CPU per poll ${text(median(oursUs), 1)} µs, of a bare GET ${text(median(bareUs), 1)} µs: × ${text(medianRatio, 2)} (median of ${oursUs.length} pairs; bar: 2.5).`,
})
