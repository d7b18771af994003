/**
 * The page of examples/browser in a real Chromium: submitted there, live, through the death of the
 * gateway, to the playing file.
 */
import { spawnSync } from 'node:child_process'
import { request } from 'node:http'
import type { Browser } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { servePage } from '../../examples/browser/serve.ts'
import { findChromium, openBrowser } from '../support/chromium.ts'
import { System } from '../support/system.ts'

const executable = await findChromium()

/** fetch sets Host itself. */
const statusWithHost = (url: string, host: string) =>
  new Promise<number | undefined>((resolve, reject) => {
    request(url, { headers: { host } }, (answer) => resolve(answer.resume().statusCode))
      .on('error', reject)
      .end()
  })

describe.skipIf(executable === null)('in a browser', () => {
  const system = new System({ POLL_INTERVAL_MS: '500' })
  let browser: Browser
  let served: Awaited<ReturnType<typeof servePage>>

  beforeAll(async () => {
    spawnSync('npm', ['run', '-s', 'build', '-w', 'libs/client'], { stdio: 'inherit' })
    await system.start()
    await system.simulate({ minSeconds: 12, maxSeconds: 13, tier: 'off' })
    served = await servePage(() => system.dev)
    browser = await openBrowser(executable!)
  })
  afterAll(async () => {
    await browser?.close()
    await served?.[Symbol.asyncDispose]()
    await system[Symbol.asyncDispose]()
  })

  it('shows a video live from its submission to the playing file, though the gateway is killed', async () => {
    const page = await browser.newPage({ viewport: { width: 900, height: 560 } })
    const complaints: string[] = []
    page.on('pageerror', (error) => complaints.push(error.message))
    await page.goto(served.url)
    await page.getByRole('button', { name: 'Generate' }).click()
    const card = page.locator('#videos li')
    await page.waitForSelector(
      'li[data-status=generating]:not([data-progress=""]):not([data-progress="0"])',
    )
    await system.kill9('gateway')

    await page.waitForSelector('li[data-status=completed] video')
    await page.waitForFunction(
      "(({ readyState, currentTime, videoWidth }) => readyState >= 2 && currentTime > 0 && videoWidth > 0)(document.querySelector('video'))",
    )
    expect(await card.count()).toBe(1)
    expect(complaints).toEqual([])
    expect((await system.ledger()).length, 'paid once').toBe(1)
    if (process.env['SCREENSHOT']) await page.screenshot({ path: process.env['SCREENSHOT'] })
  })

  it('is passed on what it needs, and nothing for another page', async () => {
    const { url } = served
    const ask = (path: string, init: RequestInit = {}) => fetch(new URL(path, url), init)
    expect((await ask('api/scene-videos')).status).toBe(200)
    expect((await ask('api/api-keys', { method: 'POST' })).status).toBe(404)
    const headers = { origin: 'https://evil.example' }
    expect((await ask('api/scene-videos', { headers })).status).toBe(403)
    expect(await statusWithHost(url, 'evil.example')).toBe(403)
  })

  it('makes one video of a double click', async () => {
    const page = await browser.newPage()
    await page.goto(served.url)
    const prompt = `double ${Math.random()}`
    await page.getByLabel('Prompt').fill(prompt)
    await page.getByRole('button', { name: 'Generate' }).dblclick()
    await page.locator('#videos li', { hasText: prompt }).first().waitFor()
    await page.locator('button:enabled').waitFor()
    expect(await page.locator('#videos li', { hasText: prompt }).count()).toBe(1)
    await page.close()
  })

  it('tells why a submission was refused, and shows a failure', async () => {
    const page = await browser.newPage()
    await page.goto(served.url)
    await page.getByLabel('Prompt').fill('[policy] something')
    await page.getByRole('button', { name: 'Generate' }).click()
    await page.waitForSelector('li.failed small')
    await page.getByLabel('Prompt').fill('x'.repeat(10_001))
    await page.getByRole('button', { name: 'Generate' }).click()
    await page.waitForFunction("document.querySelector('#problem').textContent !== ''")
    expect(await page.locator('#problem').textContent()).toMatch(/not valid/)
  })
})
