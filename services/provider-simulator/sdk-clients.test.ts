/**
 * The makers' own clients understand what their dialects say. They are clients of these tests only:
 * nearly all of them send a create again by themselves.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createGateway } from '@ai-sdk/gateway'
import { createFalClient } from '@fal-ai/client'
import { OpenRouter } from '@openrouter/sdk'
import RunwayML from '@runwayml/sdk'
import { LumaAI } from 'lumaai'
import OpenAI from 'openai'
import Replicate from 'replicate'
import { beforeAll, beforeEach, expect, it } from 'vitest'
import { readConfig } from '#libs/runtime/config.ts'
import { simulatorSettings } from './config.ts'
import { startSimulator } from './service.ts'

let url = ''
/** Tasks last so long. */
const last = (seconds: number) => {
  const body = JSON.stringify({ minSeconds: seconds, maxSeconds: seconds, tier: 'off' })
  return fetch(`${url}/settings`, { method: 'PUT', body })
}
beforeAll(async () => {
  const dir = mkdtempSync(join(tmpdir(), 'simulator-'))
  const env = { SIMULATOR_PORT: '0', SIMULATOR_DATA: dir, LOG_LEVEL: 'silent' }
  const simulator = await startSimulator(readConfig(simulatorSettings, env))
  url = simulator.url
  return async () => {
    await simulator[Symbol.asyncDispose]()
    rmSync(dir, { recursive: true })
  }
})

beforeEach(() => last(0.3))

const key = 'key-of-this-test'
const prompt = 'a fox'
const film = expect.stringMatching(/^http.*\/files\/.*\.mp4$/)
const until = <T>(ask: () => Promise<T>) => expect.poll(ask, { timeout: 20_000, interval: 50 })

it('speaks to @runwayml/sdk', async () => {
  const client = new RunwayML({ apiKey: key, baseURL: `${url}/runway`, maxRetries: 0 })
  const asked = { model: 'gen4.5', promptText: prompt, ratio: '720:1280', duration: 5 } as const
  const { id } = await client.textToVideo.create(asked)
  await until(() => client.tasks.retrieve(id)).toMatchObject({
    status: 'SUCCEEDED',
    output: [film],
  })
  await last(3_600)
  const other = await client.textToVideo.create(asked)
  expect((await client.tasks.retrieve(other.id)).status).toBe('PENDING')
  await client.tasks.delete(other.id)
  expect((await client.tasks.retrieve(other.id)).status).toBe('CANCELLED')
})

it('speaks to openai, which sends forms, fetches films with the key and knows refusals', async () => {
  const client = new OpenAI({ apiKey: key, baseURL: `${url}/openai-videos`, maxRetries: 0 })
  const asked = { model: 'sora-2', prompt, seconds: '8' } as const
  const made = await client.videos.create(asked)
  expect(made).toMatchObject({ object: 'video', seconds: '8' })
  await until(() => client.videos.retrieve(made.id)).toMatchObject({ status: 'completed' })
  const content = await client.videos.downloadContent(made.id)
  expect((await content.bytes()).length).toBeGreaterThan(1_000)
  const refused = client.videos.create({ ...asked, prompt: 'a fox [policy]' })
  await expect(refused).rejects.toMatchObject({ status: 400, code: 'moderation_blocked' })
})

it('speaks to replicate', async () => {
  const client = new Replicate({ auth: key, baseUrl: `${url}/replicate` })
  const { id } = await client.predictions.create({ model: 'owner/name', input: { prompt } })
  await until(() => client.predictions.get(id)).toMatchObject({ status: 'succeeded', output: film })
  const { results } = await client.predictions.list()
  expect(results).toMatchObject([{ id, input: { prompt } }])
})

it('speaks to @openrouter/sdk, which fetches the film with the key', async () => {
  const retryConfig = { strategy: 'none' } as const
  const client = new OpenRouter({ apiKey: key, serverURL: `${url}/openrouter`, retryConfig })
  const videoGenerationRequest = { model: 'bytedance/seedance-2.0', prompt, duration: 5 }
  const { id: jobId } = await client.videoGeneration.generate({ videoGenerationRequest })
  await until(() => client.videoGeneration.getGeneration({ jobId })).toMatchObject({
    status: 'completed',
    unsignedUrls: [expect.stringContaining(`/videos/${jobId}/content`)],
  })
  const stream = await client.videoGeneration.getVideoContent({ jobId })
  expect((await new Response(stream).bytes()).length).toBeGreaterThan(1_000)
})

it('speaks to lumaai', async () => {
  const client = new LumaAI({ authToken: key, baseURL: `${url}/luma-dream-machine`, maxRetries: 0 })
  const { id = '' } = await client.generations.create({ model: 'ray-2', prompt, duration: '5s' })
  await until(() => client.generations.get(id)).toMatchObject({
    state: 'completed',
    assets: { video: film },
  })
  expect((await client.generations.list()).generations).toMatchObject([{ id, request: { prompt } }])
})

it('speaks to @fal-ai/client', async () => {
  const client = createFalClient({
    credentials: key,
    requestMiddleware: (request) =>
      Promise.resolve({
        ...request,
        url: request.url.replace('https://queue.fal.run', `${url}/fal`),
      }),
  })
  const endpoint = 'fal-ai/kling-video/v3/standard/text-to-video'
  const { request_id: requestId } = await client.queue.submit(endpoint, { input: { prompt } })
  await until(() => client.queue.status(endpoint, { requestId })).toMatchObject({
    status: 'COMPLETED',
  })
  const { data } = await client.queue.result(endpoint, { requestId })
  expect(data).toMatchObject({ video: { url: film } })
})

it('speaks to @ai-sdk/gateway, whose start is made once under its key', async () => {
  const model = createGateway({ apiKey: key, baseURL: `${url}/vercel` }).video(
    'bytedance/seedance-2.0',
  )
  const asked = {
    prompt,
    n: 1,
    aspectRatio: '9:16',
    resolution: undefined,
    duration: 5,
    fps: undefined,
    seed: undefined,
    image: undefined,
    frameImages: undefined,
    inputReferences: undefined,
    generateAudio: undefined,
    providerOptions: {},
    headers: { 'idempotency-key': 'own-1' },
  } as const
  const { operation } = await model.doStart!(asked)
  expect((await model.doStart!(asked)).operation).toEqual(operation)
  await until(async () => await model.doStatus!({ operation })).toMatchObject({
    status: 'completed',
    videos: [{ type: 'url', url: film }],
  })
})
