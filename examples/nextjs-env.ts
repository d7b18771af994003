/**
 * Writes examples/nextjs/.env.local for a running `npm start`: with a key of scope read and write,
 * made here, so that what the app passes on can neither make keys nor change accounts.
 */
import { readFile, writeFile } from 'node:fs/promises'
import type { Scene } from './browser/serve.ts'

const dev = JSON.parse(await readFile('.reelkeeper/dev.json', 'utf8')) as Scene
const answer = await fetch(`${dev.gatewayUrl}/api/api-keys`, {
  method: 'POST',
  headers: { authorization: `Bearer ${dev.apiKey}`, 'content-type': 'application/json' },
  body: JSON.stringify({ name: 'Next.js example', scopes: ['read', 'write'] }),
})
if (!answer.ok) throw new Error(`no key: HTTP ${answer.status}`)
const { apiKey } = (await answer.json()) as { apiKey: string }
const settings = {
  REELKEEPER_URL: dev.gatewayUrl,
  REELKEEPER_API_KEY: apiKey,
  PROJECT_ID: dev.projectId,
  SCRIPT_ID: dev.scriptId,
  SCENE_ID: dev.sceneIds[0],
}
const file = 'examples/nextjs/.env.local'
const lines = Object.entries(settings).map(([name, value]) => `${name}=${value}\n`)
await writeFile(file, lines.join(''), { mode: 0o600 })
process.stdout.write(`wrote ${file}\n`)
