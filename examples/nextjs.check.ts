/**
 * Installs and builds examples/nextjs, and drives it in a real Chromium against the whole system.
 */
import { spawn, type ChildProcess } from 'node:child_process'
import type { Browser } from 'playwright-core'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { freePort } from '#services/dev/servers/ports.ts'
import { findChromium, openBrowser } from '../test/support/chromium.ts'
import { System, until } from '../test/support/system.ts'

const cwd = new URL('nextjs/', import.meta.url)
const executable = await findChromium()
const system = new System({ POLL_INTERVAL_MS: '500' })
let url = ''
let app: ChildProcess | undefined
let browser: Browser | undefined

const next = (args: string[], env: NodeJS.ProcessEnv = {}) =>
  spawn(process.execPath, ['node_modules/next/dist/bin/next', ...args], {
    cwd,
    stdio: ['ignore', 'ignore', 'inherit'],
    env: { ...process.env, NODE_ENV: 'production', NEXT_TELEMETRY_DISABLED: '1', ...env },
  })
const succeeded = (child: ChildProcess) =>
  new Promise<void>((resolve, reject) => {
    child.once('error', reject)
    child.once('exit', (code) =>
      code === 0 ? resolve() : reject(new Error(`${child.spawnargs.join(' ')} ended with ${code}`)),
    )
  })

beforeAll(async () => {
  await succeeded(
    spawn('npm', ['run', '-s', 'client:pack'], { stdio: ['ignore', 'ignore', 'inherit'] }),
  )
  await succeeded(
    spawn('npm', ['ci', '--include=dev', '--prefer-offline', '--no-fund', '--no-audit'], {
      cwd,
      stdio: ['ignore', 'ignore', 'inherit'],
    }),
  )
  await succeeded(next(['build']))
  await system.start()
  await system.simulate({ minSeconds: 6, maxSeconds: 7, tier: 'off' })
  const { gatewayUrl, apiKey, projectId, scriptId, sceneIds } = system.dev
  const port = await freePort()
  url = `http://127.0.0.1:${port}`
  app = next(['start', '-H', '127.0.0.1', '-p', String(port)], {
    REELKEEPER_URL: gatewayUrl,
    REELKEEPER_API_KEY: apiKey,
    PROJECT_ID: projectId,
    SCRIPT_ID: scriptId,
    SCENE_ID: sceneIds[0]!,
  })
  await until('the app to answer', async () => ((await fetch(url)).ok ? true : undefined))
})
afterAll(async () => {
  await browser?.close()
  if (app) {
    const exited = new Promise((resolve) => app?.once('exit', resolve))
    app.kill('SIGTERM')
    await exited
  }
  await system[Symbol.asyncDispose]()
})

it('answers as the gateway does, refusals too, and keeps the key to itself', async () => {
  const { projectId, scriptId, sceneIds, apiKey } = system.dev
  const path = `${url}/api/projects/${projectId}/scripts/${scriptId}/scenes`
  const post = async (scene: string, body: unknown, key = 'k') =>
    fetch(`${path}/${scene}/generate-video`, {
      method: 'POST',
      headers: { 'idempotency-key': key },
      body: JSON.stringify(body),
    })
  const first = await post(sceneIds[0]!, { prompt: '[policy]' })
  const again = await post(sceneIds[0]!, { prompt: '[policy]' })
  expect([first.status, again.status]).toEqual([202, 202])
  const { id } = (await first.json()) as { id: string }
  expect(await again.json()).toMatchObject({ id })
  const refused = await post('00000000-0000-7000-8000-000000000000', {}, 'other')
  expect([refused.status, refused.headers.get('content-type')]).toEqual([
    404,
    'application/problem+json',
  ])
  expect(await refused.json()).toMatchObject({ code: 'not_found' })
  for (const other of ['..%2Fevents', `${id}/timeline`, `${id}/cancel`])
    expect((await fetch(`${url}/api/scene-videos/${other}`)).status, other).toBe(404)
  const foreign = { headers: { origin: 'https://evil.example' } }
  expect((await fetch(`${url}/api/scene-videos/${id}`, foreign)).status).toBe(403)
  const stolen = { method: 'POST', ...foreign }
  expect((await fetch(`${path}/${sceneIds[0]}/generate-video`, stolen)).status).toBe(403)
  expect(await (await fetch(url)).text()).not.toContain(apiKey)
})

it.skipIf(executable === null)('shows a video live, until it plays', async () => {
  browser = await openBrowser(executable!)
  const page = await browser.newPage()
  await page.goto(url)
  const before = (await system.ledger()).length
  const { x, y, width, height } = (await page.getByRole('button').boundingBox())!
  const [atX, atY] = [x + width / 2, y + height / 2]
  await page.mouse.dblclick(atX, atY)
  await page.waitForTimeout(700)
  await page.mouse.click(atX, atY)
  await page.getByText('generating').waitFor()
  await page.waitForFunction(
    "(({ readyState, currentTime }) => readyState >= 2 && currentTime > 0)(document.querySelector('video') ?? {})",
  )
  const streams =
    "performance.getEntriesByType('resource').filter(({ name }) => name.includes('/api/scene-videos/')).map(({ name }) => name.replace(/.*-videos\\/[^/]*/, ''))"
  expect(await page.evaluate(streams), 'one stream, and no polling').toEqual(['/events'])
  expect((await system.ledger()).length - before, 'three clicks, one video').toBe(1)
  const played = await page.locator('video').getAttribute('src')
  await page.reload()
  await page.waitForSelector('video')
  expect(await page.locator('video').getAttribute('src')).toBe(played)
  if (process.env['SCREENSHOT']) await page.screenshot({ path: process.env['SCREENSHOT'] })
})
