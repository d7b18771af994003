/**
 * How a service proves to NATS who it is: user and password, token, nkey or `.creds`, in the
 * settings or in NATS_URL (which wins), over TLS where asked. A file that is missing throws at
 * once; a wrong password is the server's to refuse, and is waited out like a server that is
 * away.
 */
import { readFileSync } from 'node:fs'
import { credsAuthenticator, nkeyAuthenticator, type ConnectionOptions } from 'nats'
import type { NatsSettings } from '#libs/runtime/config.ts'

/** Servers, credentials and TLS for the client, from NATS_URL (several by commas) and the rest. */
export function connectionOptions(settings: NatsSettings): ConnectionOptions {
  const urls = settings.NATS_URL.split(',').map((text) => parseUrl(text.trim()))
  const named = urls.find((url) => url.username !== '')
  return {
    servers: urls.map(({ host }) => host),
    ...tlsOptions(settings, urls),
    ...(named ? fromUrl(named) : fromSettings(settings)),
  }
}

function parseUrl(text: string): URL {
  const url = new URL(text.includes('://') ? text : `nats://${text}`)
  if (url.host) return url
  throw new Error('NATS_URL names no host')
}

/** `nats://token@host` has a token, `nats://user:password@host` a user. */
function fromUrl({ username, password }: URL): ConnectionOptions {
  const user = decodeURIComponent(username)
  return password === '' ? { token: user } : { user, pass: decodeURIComponent(password) }
}

function fromSettings(settings: NatsSettings): ConnectionOptions {
  const { NATS_CREDS, NATS_NKEY, NATS_TOKEN, NATS_USER, NATS_PASSWORD } = settings
  if (NATS_CREDS) return { authenticator: credsAuthenticator(readFileSync(NATS_CREDS)) }
  if (NATS_NKEY) return { authenticator: nkeyAuthenticator(seedOf(NATS_NKEY)) }
  if (NATS_TOKEN) return { token: NATS_TOKEN }
  return NATS_USER ? { user: NATS_USER, pass: NATS_PASSWORD ?? '' } : {}
}

/** The seed itself (`SU…`), or the file that holds it. */
const seedOf = (text: string): Uint8Array =>
  new TextEncoder().encode(text.startsWith('SU') ? text : readFileSync(text, 'utf8').trim())

function tlsOptions(settings: NatsSettings, urls: URL[]): ConnectionOptions {
  const { NATS_CA: caFile, NATS_CERT: certFile, NATS_KEY: keyFile } = settings
  if (!caFile && !certFile && !urls.some(({ protocol }) => protocol === 'tls:')) return {}
  return {
    tls: { ...(caFile ? { caFile } : {}), ...(certFile ? { certFile, keyFile: keyFile! } : {}) },
  }
}
