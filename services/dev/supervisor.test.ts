import { expect, it } from 'vitest'
import { Supervisor, type Running } from './supervisor.ts'

/** A process that starts when told, and ends when stopped. */
function slow() {
  const started = Promise.withResolvers<void>()
  const ended = Promise.withResolvers<string>()
  const running: Running = {
    pid: 1,
    exited: ended.promise,
    stop: async () => ended.resolve('stopped'),
  }
  return {
    start: async () => {
      await started.promise
      return running
    },
    begin: started.resolve,
    how: ended.promise,
  }
}
const supervisor = () =>
  new Supervisor(
    () => {},
    () => {},
  )

it('stops what was starting, and starts nothing any more', async () => {
  const watched = supervisor()
  const server = slow()
  void watched.run('server', server.start)
  const stopped = watched.stop((name) => name === 'server')
  server.begin()
  await stopped
  expect(await server.how).toBe('stopped')
  let later = 0
  void watched.run('later', async () => {
    later++
    throw new Error('not to be started')
  })
  expect(later).toBe(0)
})

it('does not wait for what others are starting', async () => {
  const watched = supervisor()
  void watched.run('server', slow().start)
  await watched.stop((name) => name !== 'server')
})
