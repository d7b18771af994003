/**
 * Eight cards of React in a real Chromium over HTTP/1.1, which allows six connections to one host:
 * all of them are live over one, and five are left for the rest of the page.
 */
import { join } from 'node:path'
import type { Browser } from 'playwright-core'
import { rolldown } from 'rolldown'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { servePage } from '../../examples/browser/serve.ts'
import { findChromium, openBrowser } from '../support/chromium.ts'
import { System } from '../support/system.ts'

const executable = await findChromium()
const cards = 8
const src = join(process.cwd(), 'libs/client/src')

/** `ids` and `projectId` are the page's own; each card says what it knows of its video. */
const app = `
  import { createElement as h } from 'react'
  import { createRoot } from 'react-dom/client'
  import { useSceneVideo } from '${src}/react.ts'
  const { ids, projectId } = window
  const Card = ({ id }) => {
    const { loading, video, error } = useSceneVideo(id, projectId ? { projectId } : null)
    return h('li', { 'data-status': error ? error.message : loading ? 'loading' : video.status })
  }
  createRoot(document.body).render(ids.map((id) => h(Card, { id, key: id })))`

async function bundle(): Promise<string> {
  const build = await rolldown({
    input: 'app',
    platform: 'browser',
    cwd: process.cwd(),
    checks: { moduleLevelDirective: false },
    transform: { define: { 'process.env.NODE_ENV': '"production"' } },
    plugins: [
      {
        name: 'app',
        resolveId: (id) => (id === 'app' ? join(process.cwd(), 'app.js') : null),
        load: (id) => (id === join(process.cwd(), 'app.js') ? app : null),
      },
    ],
  })
  const { output } = await build.generate({ format: 'iife' })
  await build.close()
  return output[0].code
}

describe.skipIf(executable === null)('eight cards', () => {
  const system = new System({ POLL_INTERVAL_MS: '500' })
  let browser: Browser
  let served: Awaited<ReturnType<typeof servePage>>
  let script: string

  beforeAll(async () => {
    script = await bundle()
    await system.start()
    await system.simulate({ minSeconds: 15, maxSeconds: 17, tier: 'off' })
    served = await servePage(() => system.dev)
    browser = await openBrowser(executable!)
  })
  afterAll(async () => {
    await browser?.close()
    await served?.[Symbol.asyncDispose]()
    await system[Symbol.asyncDispose]()
  })

  const submit = async (): Promise<string> => {
    const { projectId, scriptId, sceneIds } = system.dev
    const path = `api/projects/${projectId}/scripts/${scriptId}/scenes/${sceneIds[0]}/generate-video`
    const answer = await fetch(new URL(path, served.url), { method: 'POST' })
    return ((await answer.json()) as { id: string }).id
  }

  it('stay live over one connection, and leave five free', async () => {
    const ids = await Promise.all(Array.from({ length: cards }, submit))
    const page = await browser.newPage()
    const streams: string[] = []
    page.on('request', (request) => {
      if (request.url().includes('/events')) streams.push(request.url())
    })
    const settings = `window.ids = ${JSON.stringify(ids)}; window.projectId = '${system.dev.projectId}'`
    const body = `<!doctype html><body><script>${settings}</script><script src="/cards.js" defer></script>`
    await page.route('**/cards.html', (route) => route.fulfill({ contentType: 'text/html', body }))
    await page.route('**/cards.js', (route) =>
      route.fulfill({ contentType: 'text/javascript', body: script }),
    )
    await page.goto(new URL('cards.html', served.url).href)
    const shown = (status: string) =>
      page.waitForFunction(
        `document.querySelectorAll('li[data-status=${status}]').length === ${cards}`,
        undefined,
        { timeout: 60_000 },
      )
    await shown('generating')
    expect(streams).toHaveLength(1)
    // Five more streams open while the cards' one is open; a sixth could not.
    const opened = `Promise.all(Array.from({ length: 5 }, () => fetch('/api/events').then(({ status }) => status)))`
    expect(await page.evaluate(opened)).toEqual([200, 200, 200, 200, 200])
    await shown('completed')
  })
})
