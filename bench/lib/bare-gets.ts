/** The floor: nothing but GETs with undici's `request`, so many at once, on so many tasks. */
import { Agent, request } from 'undici'
import { answering } from './answering.ts'

const agent = new Agent({ connections: 200, keepAliveTimeout: 30_000 })

async function gets({
  url,
  ids,
  total,
  concurrency,
}: {
  url: string
  ids: string[]
  total: number
  concurrency: number
}): Promise<number> {
  let next = 0
  const before = process.cpuUsage()
  await Promise.all(
    Array.from({ length: concurrency }, async () => {
      while (next < total) {
        const { body } = await request(`${url}/v1/videos/generations/${ids[next++ % ids.length]}`, {
          dispatcher: agent,
          headers: { authorization: 'Bearer sk-bench' },
        })
        await body.text()
      }
    }),
  )
  const { user, system } = process.cpuUsage(before)
  return (user + system) / total
}

answering({ gets })
