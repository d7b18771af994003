import { expect, it, vi } from 'vitest'
import { pendingKit } from '../../test/support/pending-kit.ts'
import { Images, mostInlineBytes } from './images.ts'
import { submitVideo } from './submit-video.ts'

const id = '0197a000-0000-7000-8000-000000000001'
const upload = { id, type: 'image/png', bytes: 3, linkSecret: Buffer.alloc(32, 1) }
const of = { userId: 'u', provider: 'gemini', requestedAt: new Date(1_000_000) }
const request = { ownId: 'o', model: 'm', prompt: 'p', imageUrls: ['https://a.example/1.png', id] }
const read = async () =>
  (async function* () {
    yield Buffer.from('png')
  })()
const images = (found: object[], publicUrl?: string, files: object = { read }) =>
  new Images({ use: async () => found as never }, files as never, publicUrl)

it('puts the data of an upload in its place, where the provider takes no links', async () => {
  const imageUrls = ['https://a.example/1.png', 'data:image/png;base64,cG5n']
  const expected = { ...request, imageUrls }
  expect(await images([upload]).of(request, of)).toEqual(expected)
  expect(await images([upload], 'https://rk.example').of(request, of)).toEqual(expected)
})

it('puts a link in its place where there is an address, and the same one again', async () => {
  const source = images([upload], 'https://rk.example/')
  const first = await source.of(request, { ...of, provider: 'fal' })
  expect(first).toMatchObject({
    imageUrls: [
      'https://a.example/1.png',
      expect.stringMatching(`^https://rk.example/uploads/${id}\\?expires=260200&signature=.{43}$`),
    ],
  })
  expect(await source.of(request, { ...of, provider: 'fal' })).toEqual(first)
})

it.each([
  ['was deleted', [], 'gemini'],
  ['is too large for a request', [{ ...upload, bytes: 11 * 1024 * 1024 }], 'gemini'],
  ['can only be had by a link', [upload], 'toapis'],
])('refuses an upload that %s', async (_, found, provider) => {
  expect(await images(found).of(request, { ...of, provider })).toEqual({
    refused: expect.any(String) as string,
  })
})

it('refuses images that are too many bytes together', async () => {
  const many = Array.from({ length: 3 }, (_, i) => ({
    ...upload,
    id: id.replace(/.$/, String(i)),
    bytes: mostInlineBytes / 2,
  }))
  const asked = { ...request, imageUrls: many.map((one) => one.id) }
  expect(await images(many).of(asked, of)).toEqual({ refused: expect.any(String) as string })
})

it.each([
  ['away', { read: () => Promise.reject(new Error('away')) }],
  ['without it', { read: async () => null }],
])('waits while the store is %s', async (_, files) => {
  expect(await images([upload], undefined, files).of(request, of)).toEqual({
    later: expect.any(String) as string,
  })
})

it('neither intends nor sends a create whose images are gone, and tells why', async () => {
  const intend = vi.fn()
  const failPending = vi.fn(async () => null)
  const { context, create } = pendingKit({
    video: { params: { imageUrls: [id] } },
    store: { intend, failPending },
  })
  Object.assign(context, { images: images([]) })
  await submitVideo(context, { id: 'v' })
  expect([intend.mock.calls, create.mock.calls]).toEqual([[], []])
  const error = { code: 'invalid_request', message: `The upload ${id} was deleted.` }
  expect(failPending).toHaveBeenCalledWith('v', 1, error)
})
