/**
 * Where Reelkeeper is, for this app's server. The key never leaves it. Read per request: a build
 * knows no settings.
 */
import { Reelkeeper } from '@reelkeeper/client'

function setting(name: string): string {
  const value = process.env[name]
  if (!value) throw new Error(`Set ${name}; see README.md`)
  return value
}

export const upstream = () => ({
  baseUrl: setting('REELKEEPER_URL'),
  apiKey: setting('REELKEEPER_API_KEY'),
})

export const reelkeeper = () => new Reelkeeper(upstream())

/** The scene the page shows; a real app takes it from its own database. */
export const scene = () => ({
  projectId: setting('PROJECT_ID'),
  scriptId: setting('SCRIPT_ID'),
  sceneId: setting('SCENE_ID'),
})

/** The names this app is served under. */
export const hostnames = () =>
  (process.env['APP_HOSTNAMES'] ?? 'localhost,127.0.0.1').split(',').map((one) => one.trim())
