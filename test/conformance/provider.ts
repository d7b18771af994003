/**
 * What every adapter has to keep, whatever its provider's words: run for each declaration against
 * its dialect in the simulator. A create is one request, never repeated by itself; what is not
 * recognised is unknown; what is told can be recorded; no key is in any answer.
 */
import { afterAll, beforeAll, beforeEach, describe, expect } from 'vitest'
import { answersOfProvider } from './provider-answers.ts'
import { createsOfProvider } from './provider-creates.ts'
import type { Bench, Subject } from './provider-bench.ts'
import { ScriptedProvider } from './scripted-provider.ts'

const timeoutMs = 1_500
const testKey = 'sk-secret-of-the-test'

export function conformance(subject: Subject): void {
  describe(`${subject.name}, as every provider`, () => {
    const provider = subject.make({ createTimeoutMs: timeoutMs, getTimeoutMs: timeoutMs })
    const { apiKey = testKey, secrets = [apiKey], model = 'm' } = subject
    const server = new ScriptedProvider(subject.dialect, model)
    const request = { ownId: '0192-1', model, prompt: 'p' }
    const account = () => ({ baseUrl: server.baseUrl, apiKey })
    const isQuiet = (answer: unknown) => {
      for (const secret of secrets) expect(JSON.stringify(answer)).not.toContain(secret)
    }
    beforeAll(() => server.start())
    afterAll(async () => {
      await provider[Symbol.asyncDispose]()
      server.stop()
    })
    beforeEach(() => void (server.asked = []))

    const bench: Bench = {
      provider,
      server,
      subject,
      request,
      account,
      secrets,
      says: (what) => !subject.unsaid?.includes(what),
      async create(now) {
        server.behaviour = now
        server.asked = []
        const answer = await provider.create(account(), request)
        expect(server.asked.length, 'requests for one create').toBe(1)
        isQuiet(answer)
        return answer
      },
      async taskId(now = {}) {
        const answer = await bench.create(now)
        if (answer.kind !== 'accepted') throw new Error(`not accepted: ${JSON.stringify(answer)}`)
        server.asked = []
        return answer.taskId
      },
      async get(now) {
        const id = await bench.taskId()
        server.behaviour = now
        const { answer } = await provider.get(account(), id)
        isQuiet(answer)
        return answer
      },
    }
    createsOfProvider(bench)
    answersOfProvider(bench)
  })
}
