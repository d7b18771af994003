/** Images from users: kept, told by their bytes, and given to a provider in the form it takes. */
import { createServer, type Server } from 'node:http'
import { connect, type AddressInfo } from 'node:net'
import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openFileStore } from '#libs/files/settings.ts'
import { readConfig } from '#libs/runtime/config.ts'
import { archiverSettings } from '#services/archiver/config.ts'
import { handOn } from '../support/hand-on.ts'
import { Stack } from '../support/gateway-kit.ts'
import { until } from '../support/system.ts'

/** A PNG of one pixel, and bytes after its end. */
const png = (more = 0) =>
  Buffer.concat([
    Buffer.from(
      'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==',
      'base64',
    ),
    randomBytes(more),
  ])

/** What providers were sent, by path; everything is handed on to the simulator or the gateway. */
const sent: { path: string; body: string }[] = []
let between: Server
let stack: Stack
let withoutAddress: string

beforeAll(async () => {
  between = createServer((incoming, outgoing) => {
    const to = incoming.url!.startsWith('/uploads/') ? stack.gatewayUrl : stack.simulatorUrl
    void handOn(incoming, to, sent).then(({ status, type, body }) => {
      outgoing.writeHead(status, { 'content-type': type }).end(body)
    })
  })
  await new Promise<void>((resolve) => between.listen(0, '127.0.0.1', resolve))
  const url = `http://127.0.0.1:${(between.address() as AddressInfo).port}`
  stack = new Stack({
    PROVIDERS: 'toapis,gemini',
    TOAPIS_BASE_URL: `${url}/v1`,
    GEMINI_BASE_URL: `${url}/gemini`,
    GEMINI_API_KEY: 'sk-system-0000sys4',
    PUBLIC_URL: url,
    MAX_UPLOAD_BYTES: '100000',
    MAX_UPLOADS: '40',
  })
  await stack.start()
  withoutAddress = (await stack.gateway({ PUBLIC_URL: undefined })).url
})
afterAll(async () => {
  between?.close()
  await stack[Symbol.asyncDispose]()
})

async function upload(data: Buffer, name = 'a.png', type = 'image/png', key = stack.apiKey) {
  const form = new FormData()
  form.set('file', new Blob([new Uint8Array(data)], { type }), name)
  const answer = await fetch(`${stack.gatewayUrl}/api/uploads`, {
    method: 'POST',
    headers: { authorization: `Bearer ${key}` },
    body: form,
  })
  const text = await answer.text()
  stack.contract.check('POST', '/api/uploads', answer.status, answer.headers, text)
  return { status: answer.status, body: JSON.parse(text) as Record<string, string | number> }
}
const generate = (body: object, more: { url?: string; key?: string } = {}) =>
  stack.ask('POST', '/api/videos', { body: { prompt: 'p', ...body }, ...more })
const rows = () => stack.db.upload.count()
const keys = async () => {
  await using files = await openFileStore(readConfig(archiverSettings, stack.env))
  const found: string[] = []
  for await (const { key } of files.list()) if (key.startsWith('upload-')) found.push(key)
  return found
}
const createOf = (prompt: string) =>
  until(`the create of ${prompt}`, async () => sent.find(({ body }) => body.includes(prompt)))

describe('an upload', () => {
  it('is taken by its bytes, whatever it is called', async () => {
    const data = png(5_000)
    const { status, body } = await upload(data, 'film.mp4', 'video/mp4')
    expect([status, body]).toEqual([
      201,
      { id: expect.any(String) as string, bytes: data.length, type: 'image/png' },
    ])
  })

  it('may be the body itself', async () => {
    const answer = await fetch(`${stack.gatewayUrl}/api/uploads`, {
      method: 'POST',
      headers: { authorization: `Bearer ${stack.apiKey}`, 'content-type': 'image/x-icon' },
      body: new Uint8Array(png(10)),
    })
    expect([answer.status, await answer.json()]).toMatchObject([201, { type: 'image/png' }])
  })

  it.each([
    ['a page called picture', Buffer.from('<html><script>alert(1)</script></html>'), 415],
    ['a drawing with scripts', Buffer.from('<svg xmlns="http://www.w3.org/2000/svg"/>'), 415],
    ['nothing', Buffer.alloc(0), 415],
    ['one byte too many', png(100_001 - png().length), 413],
    ['far too much', png(3_000_000), 413],
  ])('is refused and leaves nothing where it is %s', async (_, data, status) => {
    const before = [await rows(), await keys()]
    expect((await upload(data)).status).toBe(status)
    expect([await rows(), await keys()]).toEqual(before)
  })

  it('has to be multipart, with a file', async () => {
    expect((await stack.ask('POST', '/api/uploads', { body: {} })).status).toBe(415)
    const answer = await fetch(`${stack.gatewayUrl}/api/uploads`, {
      method: 'POST',
      headers: { authorization: `Bearer ${stack.apiKey}` },
      body: new FormData(),
    })
    expect(answer.status).toBe(400)
  })

  it.each(['a=b', '--x', '--x\r\n\r\n', '--x--'])('is not %j', async (body) => {
    const type = 'multipart/form-data; boundary=x'
    const { status } = await stack.ask('POST', '/api/uploads', {
      body,
      headers: { 'content-type': type },
    })
    expect(status).toBe(400)
  })
})

describe('an upload, and what is left of it', () => {
  it('that breaks off leaves nothing', async () => {
    const before = [await rows(), await keys()]
    const head = `--x\r\ncontent-disposition: form-data; name="file"; filename="a"\r\n\r\n`
    const socket = connect(Number(new URL(stack.gatewayUrl).port), '127.0.0.1')
    socket.write(
      `POST /api/uploads HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${stack.apiKey}\r\ncontent-type: multipart/form-data; boundary=x\r\ncontent-length: 90000\r\n\r\n${head}`,
    )
    socket.write(png(40_000))
    await until(
      'the upload to begin',
      async () => (await rows()) > (before[0] as number) || undefined,
    )
    socket.destroy()
    await until('its row to go', async () => (await rows()) === before[0] || undefined)
    expect(await keys()).toEqual(before[1])
  })

  it('of which a user has too many is refused', async () => {
    const key = await stack.stranger()
    const gateway = await stack.gateway({ MAX_UPLOADS: '2' })
    const url = stack.gatewayUrl
    stack.gatewayUrl = gateway.url
    try {
      const answers = []
      for (let i = 0; i < 3; i++) answers.push((await upload(png(), 'a', 'image/png', key)).status)
      expect(answers).toEqual([201, 201, 429])
    } finally {
      stack.gatewayUrl = url
    }
  })
})

describe('a video with an upload', () => {
  it('gives its provider a link that ends, and nobody else', async () => {
    const data = png(2_000)
    const { id } = (await upload(data)).body
    const made = await generate({ prompt: 'by link', imageUrls: [id, 'https://a.example/b.png'] })
    expect(made.status).toBe(202)
    expect(made.body['params']).toMatchObject({ imageUrls: [id, 'https://a.example/b.png'] })
    const { image_urls } = JSON.parse((await createOf('by link')).body) as { image_urls: string[] }
    expect(image_urls[1]).toBe('https://a.example/b.png')
    const link = new URL(image_urls[0]!)
    const answer = await fetch(link)
    expect([answer.status, answer.headers.get('content-type')]).toEqual([200, 'image/png'])
    expect(Buffer.from(await answer.arrayBuffer()).equals(data)).toBe(true)
    const days = (Number(link.searchParams.get('expires')) - Date.now() / 1_000) / 86_400
    expect(days).toBeGreaterThan(2.9)
    expect(days).toBeLessThan(3.1)
    const other = (await upload(png())).body['id'] as string
    for (const [from, to] of [
      [/expires=\d/, 'expires=9'],
      [/signature=./, 'signature=-'],
      [id as string, other],
    ] as const)
      expect((await fetch(link.href.replace(from, to))).status).toBe(404)
    expect((await fetch(`${stack.gatewayUrl}/uploads/${id}`)).status).toBe(400)
  })

  it('gives it the data where the provider takes nothing else', async () => {
    const data = png(3_000)
    const { id } = (await upload(data)).body
    const made = await generate({ prompt: 'by data', provider: 'gemini', imageUrls: [id] })
    expect(made.status).toBe(202)
    const body = JSON.parse((await createOf('by data')).body) as { input: unknown[] }
    expect(body.input[1]).toEqual({
      type: 'image',
      data: data.toString('base64'),
      mime_type: 'image/png',
    })
  })

  it('may name it in images, too', async () => {
    const { id } = (await upload(png())).body
    const made = await generate({ images: [id] })
    expect([made.status, made.body['params']]).toMatchObject([202, { imageUrls: [id] }])
  })

  it('is refused where the upload is somebody else’s, or nobody’s', async () => {
    const key = await stack.stranger()
    const theirs = (await upload(png(), 'a', 'image/png', key)).body['id']
    for (const id of [theirs, '0197a000-0000-7000-8000-00000000dead']) {
      const { status, body } = await generate({ imageUrls: ['https://a.example/b.png', id] })
      expect([status, body]).toMatchObject([
        422,
        { code: 'unknown_upload', errors: [{ pointer: '/imageUrls/1' }] },
      ])
      expect(await generate({ images: [id] })).toMatchObject({
        body: { code: 'unknown_upload', errors: [{ pointer: '/images/0' }] },
      })
    }
  })

  it('is refused where the provider needs a link and there is no public address', async () => {
    const { id } = (await upload(png())).body
    const { status, body } = await generate({ imageUrls: [id] }, { url: withoutAddress })
    expect([status, body]).toMatchObject([422, { code: 'no_public_address' }])
    expect(body['detail']).toContain('PUBLIC_URL')
  })
})

describe('uploads that nothing uses', () => {
  it('are deleted after a while, and those in use are not', async () => {
    const [used, unused] = [(await upload(png())).body['id'], (await upload(png())).body['id']]
    const dayAgo = new Date(Date.now() - 25 * 3_600_000)
    const ids = [used, unused] as string[]
    await stack.db.upload.updateMany({ where: { id: { in: ids } }, data: { usedAt: dayAgo } })
    expect((await generate({ imageUrls: [used] })).status).toBe(202)
    await stack.archiver()
    await until(
      'the unused one to go',
      async () => !(await keys()).includes(`upload-${unused}`) || undefined,
    )
    await until('its row to go', async () =>
      (await stack.db.upload.findUnique({ where: { id: unused as string } })) ? undefined : true,
    )
    expect(await keys()).toContain(`upload-${used}`)
    expect((await generate({ imageUrls: [unused] })).body).toMatchObject({ code: 'unknown_upload' })
  })
})
