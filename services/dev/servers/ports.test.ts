import { createServer } from 'node:net'
import { expect, it } from 'vitest'
import { freePort } from './ports.ts'

it('gives a port that nobody else is given by chance, and the preferred one where it is free', async () => {
  const port = await freePort()
  expect(port).toBeLessThan(32_768)
  expect(await freePort(port)).toBe(port)
  const taken = createServer()
  await new Promise<void>((resolve) => taken.listen(port, '127.0.0.1', resolve))
  expect(await freePort(port)).not.toBe(port)
  await new Promise((resolve) => taken.close(resolve))
})
