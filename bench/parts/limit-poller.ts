/**
 * The limit of polling: CPU of one of our pollers per poll of a task that has not changed, against a bare loop of undici GETs on the same
 * server, turn by turn in one run. Both work at full speed: the poller has more to do than it can.
 */
import { setTimeout as wait } from 'node:timers/promises'
import { Worker } from '../lib/processes.ts'
import { Lab, metric } from '../lib/lab.ts'
import { median } from '../lib/numbers.ts'
import { freePort } from '#libs/local/ports.ts'
import { taskId } from '../lib/provider.ts'



export async function limitOfPoller({ pairs, say, videos = 2_000 }: { pairs: number; say: (line: string) => void; videos?: number }) {
  await using lab = await Lab.open()
  const healthPort = await freePort()
  const hour = 3_600
  await lab.addVideos({ count: videos, endFrom: hour, endTo: hour, step: 100 })
  await using services = new AsyncDisposableStack()
  services.use(await lab.service('status'))
  await using poller = await lab.service('poller', { POLL_INTERVAL_MS: '10', POLL_CONCURRENCY: '64', HEALTH_PORT: String(healthPort) })
  services.use(await lab.service('reconciler'))
  while ((await metric(healthPort, 'owned_videos')) < videos) await wait(200)
  await using bare = await new Worker('bare-gets.ts', {}).ready()
  const now = Date.now()
  const ids = Array.from({ length: videos }, (_, n) => taskId(now, now + hour * 1000, 100, n))
  const gets = (total: number) => bare.ask<number>('gets', { url: lab.providerUrl, ids, total, concurrency: 64 })
  await gets(10_000)
  await wait(2_000)
  const ours: number[] = []
  const floor: number[] = []
  for (let i = 0; i < pairs; i++) {
    poller.child.kill('SIGCONT')
    await wait(500)
    const [cpu, polls] = [await poller.ask<number>('cpu'), await metric(healthPort, 'polls_total')]
    await wait(4_000)
    const [cpuAfter, pollsAfter] = [await poller.ask<number>('cpu'), await metric(healthPort, 'polls_total')]
    poller.child.kill('SIGSTOP')
    ours.push(((cpuAfter - cpu) * 1000) / (pollsAfter - polls))
    floor.push(await gets(40_000))
    say(`pair ${i + 1}/${pairs}: ours ${ours[i]!.toFixed(1)} µs a poll (${Math.round((pollsAfter - polls) / 4)}/s), bare GET ${floor[i]!.toFixed(1)} µs, ratio ${(ours[i]! / floor[i]!).toFixed(2)}`)
  }
  poller.child.kill('SIGCONT')
  return { oursUs: ours, bareUs: floor, ratios: ours.map((us, i) => us / floor[i]!), medianRatio: median(ours.map((us, i) => us / floor[i]!)) }
}

if (import.meta.main) console.log(await limitOfPoller({ pairs: Number(process.argv[2] ?? 5), say: console.log }))
