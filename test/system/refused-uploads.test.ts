/** A body that is refused while it arrives. */
import { connect } from 'node:net'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { Stack } from '../support/gateway-kit.ts'
import { until } from '../support/system.ts'

const stack = new Stack({ MAX_UPLOAD_BYTES: '100000' })
beforeAll(() => stack.start())
afterAll(() => stack[Symbol.asyncDispose]())

const onePixel = Buffer.from(
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==',
  'base64',
)
const part = '--x\r\ncontent-disposition: form-data; name="file"; filename="a"\r\n\r\n'

it.each([
  ['image/png', '', ''],
  ['multipart/form-data; boundary=x', part, '\r\n--x--\r\n'],
])('as %s leaves its connection to the next request', async (type, before, after) => {
  const image = Buffer.concat([onePixel, Buffer.alloc(8_000_000)])
  const body = Buffer.concat([Buffer.from(before), image, Buffer.from(after)])
  const socket = connect(Number(new URL(stack.gatewayUrl).port), '127.0.0.1')
  let heard = ''
  socket.on('data', (chunk: Buffer) => (heard += chunk.toString()))
  socket.on('error', (err) => (heard += err.message))
  socket.write(
    `POST /api/uploads HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${stack.apiKey}\r\ncontent-type: ${type}\r\ncontent-length: ${body.length}\r\n\r\n`,
  )
  socket.write(body)
  socket.write('GET /livez HTTP/1.1\r\nhost: x\r\n\r\n')
  await until('both to be answered', async () => heard.includes('HTTP/1.1 200') || undefined)
  expect(heard).toContain('HTTP/1.1 413')
  socket.destroy()
})
