/**
 * What `npm start` keeps in .reelkeeper between runs: secrets, ports, the lock. While it runs, also
 * dev.json for tools, and operator.json for the CLI.
 */
import { randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { keyEncryptionKey } from '#libs/runtime/secrets.ts'
import { isAlive } from './servers/server-process.ts'
import { freePort } from './servers/ports.ts'

export interface Secrets {
  apiKey: string
  /** Former ones follow after commas. */
  keyEncryptionKey: string
  streamTokenKey: string
  providerKey: string
  webhookSecret: string
  /** The passwords of NATS' users are derived from it. */
  natsSecret: string
  /** The passwords of Postgres' roles are derived from it. */
  postgresSecret: string
}

export interface Ports {
  postgres: number
  nats: number
  simulator: number
}

export class DevState {
  readonly dir: string
  constructor(dir: string) {
    this.dir = dir
    mkdirSync(dir, { recursive: true })
  }

  /** @throws when another run of this directory is alive */
  lock(): void {
    const file = join(this.dir, 'lock')
    if (existsSync(file)) {
      const pid = Number(readFileSync(file, 'utf8'))
      const command = existsSync(`/proc/${pid}/cmdline`)
        ? readFileSync(`/proc/${pid}/cmdline`, 'utf8')
        : 'services/dev/start.ts'
      if (pid !== process.pid && isAlive(pid) && command.includes('dev/start.ts'))
        throw new Error(
          `Reelkeeper runs here already (pid ${pid}). Stop it first, or start from another copy of the directory.`,
        )
    }
    writeFileSync(file, String(process.pid))
    this.#forget() // of a run that was killed
  }

  unlock(): void {
    rmSync(join(this.dir, 'lock'), { force: true })
    this.#forget()
  }

  /** What is told of a running system. */
  #forget(): void {
    for (const name of ['dev.json', 'operator.json']) rmSync(join(this.dir, name), { force: true })
  }

  /**
   * Those of `env` before its own. A key-encryption key it names is kept, in front of former ones:
   * what was sealed under any can be opened by every later start. @throws for what is no key
   */
  secrets(env: NodeJS.ProcessEnv = {}): Secrets {
    const own = this.#ownSecrets()
    const asked = keysAsked(env, 'KEY_ENCRYPTION_KEY')
    const ring = [...new Set([...asked, ...own.keyEncryptionKey.split(',')])].join(',')
    if (ring !== own.keyEncryptionKey)
      this.write('secrets.json', { ...own, keyEncryptionKey: ring })
    const streamTokenKey = keysAsked(env, 'STREAM_TOKEN_KEY').join(',') || own.streamTokenKey
    return { ...own, keyEncryptionKey: ring, streamTokenKey }
  }

  #ownSecrets(): Secrets {
    return this.#kept('secrets.json', () => ({
      apiKey: `rk_${randomBytes(6).toString('hex')}_${randomBytes(32).toString('base64url')}`,
      keyEncryptionKey: randomBytes(32).toString('base64'),
      streamTokenKey: randomBytes(32).toString('base64'),
      providerKey: `sk-${randomBytes(24).toString('base64url')}`,
      webhookSecret: randomBytes(24).toString('base64url'),
      natsSecret: randomBytes(32).toString('base64url'),
      postgresSecret: randomBytes(32).toString('base64url'),
    }))
  }

  /** The ports of the last run where they are free. */
  async ports(): Promise<Ports> {
    const last = this.#read('ports.json') as Partial<Ports> | undefined
    const ports: Ports = {
      postgres: await freePort(last?.postgres),
      nats: await freePort(last?.nats),
      simulator: await freePort(last?.simulator),
    }
    this.write('ports.json', ports)
    return ports
  }

  write(name: string, value: unknown): void {
    const file = join(this.dir, name)
    writeFileSync(`${file}.new`, `${JSON.stringify(value, null, 2)}\n`, { mode: 0o600 })
    renameSync(`${file}.new`, file)
  }

  #read(name: string): unknown {
    const file = join(this.dir, name)
    return existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : undefined
  }

  /** What an earlier version did not keep yet is made now. */
  #kept<T extends object>(name: string, make: () => T): T {
    const kept = this.#read(name) as Partial<T> | undefined
    const whole = { ...make(), ...kept }
    if (Object.keys(whole).length > Object.keys(kept ?? {}).length) this.write(name, whole)
    return whole
  }
}

function keysAsked(env: NodeJS.ProcessEnv, name: string): string[] {
  const text = env[name]?.trim()
  if (!text) return []
  const { error } = keyEncryptionKey.safeParse(text)
  if (error) throw new Error(`${name} ${error.issues[0]!.message}`)
  return text.split(',').map((one) => one.trim())
}
