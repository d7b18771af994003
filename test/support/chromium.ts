/**
 * A real Chromium, Debian's: the one that is there, else installed where we may. Null where
 * neither; tests then say so and skip.
 */
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { chromium, type Browser } from 'playwright-core'

const paths = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome']
const flags = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
]

const aptGet = (...args: string[]) =>
  new Promise<boolean>((resolve) => {
    const child = spawn('env', ['DEBIAN_FRONTEND=noninteractive', 'apt-get', ...args], {
      stdio: 'ignore',
    })
    child.once('error', () => resolve(false))
    child.once('exit', (code) => resolve(code === 0))
  })

export async function findChromium(): Promise<string | null> {
  const found = () => paths.find((path) => existsSync(path)) ?? null
  if (found()) return found()
  const mayInstall = process.getuid?.() === 0 && existsSync('/usr/bin/apt-get')
  if (
    mayInstall &&
    (await aptGet('update')) &&
    (await aptGet('install', '-y', '--no-install-recommends', 'chromium'))
  )
    return found()
  process.stderr.write(
    'No Chromium here and none can be installed: the tests in a browser are skipped. On Debian: apt-get install chromium\n',
  )
  return null
}

/** With a profile of its own, that is removed when it is closed. */
export async function openBrowser(executablePath: string): Promise<Browser> {
  return chromium.launch({ executablePath, args: flags })
}
