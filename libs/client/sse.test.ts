import fc from 'fast-check'
import { expect, it } from 'vitest'
import { SseParser, type Message } from './sse.ts'

const parse = (chunks: Uint8Array[]): Message[] => {
  const parser = new SseParser()
  return chunks.flatMap((chunk) => parser.push(chunk))
}
const text =
  'retry: 1000\n\n:\n\nid: 7-1\nevent: progress\ndata: {"prompt":"灯塔"}\n\r\nid: 7-2\r\ndata: a\r\ndata:b\r\n\r\nevent: lost\ndata: cut off'
const messages = [
  { id: '7-1', event: 'progress', data: '{"prompt":"灯塔"}' },
  { id: '7-2', event: 'message', data: 'a\nb' },
]

it('reads the same messages wherever the bytes are cut', () => {
  const bytes = new TextEncoder().encode(text)
  fc.assert(
    fc.property(fc.array(fc.nat(bytes.length)), (cuts) => {
      const at = [0, ...cuts.sort((a, b) => a - b), bytes.length]
      expect(parse(at.slice(1).map((to, i) => bytes.subarray(at[i], to)))).toEqual(messages)
    }),
  )
})
