/**
 * `npm start`: everything on this machine, without Docker or an account. Real Postgres, real
 * nats-server, the services as processes of their own, and a provider simulator. Data is kept in
 * .reelkeeper/; a process that dies is started again.
 */
import { Agent, get, type ClientRequest } from 'node:http'
import { resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { startNats } from './servers/nats-server.ts'
import { findNatsServer } from './servers/nats-binary.ts'
import { freePort, tryPort } from './servers/ports.ts'
import { startPostgres } from './servers/postgres.ts'
import { sleep } from '#libs/runtime/clock.ts'
import { credentials } from './credentials.ts'
import { seedDemo } from './seed.ts'
import { migrate } from '#libs/store/migrate.ts'
import { say } from './output.ts'
import { commonSettings, gatewaySettings, operatorSettings } from './settings.ts'
import { DevState } from './state.ts'
import { startService, Supervisor } from './supervisor.ts'

const usage = `Usage: npm start -- [--pollers N] [--no-services]

  --pollers N     how many pollers to run (2)
  --no-services   Postgres and nats-server alone, for commands that want the services stopped
  PORT=N          the gateway's port (3000; if taken and not asked for, the next free one)`

function parsed() {
  try {
    return parseArgs({
      options: {
        pollers: { type: 'string', default: '2' },
        'no-services': { type: 'boolean', default: false },
        help: { type: 'boolean', short: 'h' },
      },
    })
  } catch (err) {
    throw new Error(`${(err as Error).message}\n\n${usage}`, { cause: err })
  }
}

function asked(): { pollers: number; noServices: boolean } {
  const { values } = parsed()
  if (values.help) {
    say(usage)
    process.exit(0)
  }
  const pollers = Number(values.pollers)
  if (!Number.isInteger(pollers) || pollers < 1 || pollers > 64)
    throw new Error(`--pollers must be a whole number from 1 to 64\n\n${usage}`)
  return { pollers, noServices: values['no-services'] }
}

async function gatewayPort(): Promise<number> {
  const asked = process.env['PORT']
  if (asked) {
    const port = Number(asked)
    if (!Number.isInteger(port) || port < 0 || port > 65_535)
      throw new Error(`PORT=${asked} is not a port`)
    if (port && !(await tryPort(port))) throw new Error(`PORT=${port} is taken`)
    return port || freePort()
  }
  for (let port = 3_000; port < 3_100; port++) if (await tryPort(port)) return port
  return freePort()
}

const file = (name: string) => fileURLToPath(new URL(`../${name}/main.ts`, import.meta.url))
const servers = new Set(['postgres', 'nats', 'simulator'])

async function start(): Promise<void> {
  const { pollers, noServices } = asked()
  const state = new DevState(resolve('.reelkeeper'))
  state.lock()
  let facts: Record<string, unknown> | undefined
  // whoever waits for dev.json finds everything ready
  const tell = () =>
    facts && state.write('dev.json', { ...facts, processes: supervisor.processes() })
  const supervisor: Supervisor = new Supervisor(tell)
  stopWhenAsked(supervisor, state)
  const secrets = state.secrets(process.env)
  const port = await gatewayPort()
  const ports = await state.ports()
  const gatewayUrl = `http://127.0.0.1:${port}`
  const simulatorUrl = `http://127.0.0.1:${ports.simulator}`

  await findNatsServer(say)
  say('starting Postgres')
  const postgres = () =>
    startPostgres({
      dir: resolve(state.dir, 'postgres'),
      port: ports.postgres,
      secret: secrets.postgresSecret,
      say,
    })
  await supervisor.run('postgres', postgres)
  say('starting nats-server')
  await supervisor.run('nats', () =>
    startNats({
      dir: resolve(state.dir, 'nats'),
      port: ports.nats,
      secret: secrets.natsSecret,
      say,
    }),
  )
  const as = credentials(ports, secrets)
  const applied = await migrate(as.owner)
  if (applied.length) say(`applied migrations: ${applied.join(', ')}`)
  const demo = await seedDemo(as.operator.DATABASE_URL, secrets.apiKey)

  const env = commonSettings(process.env, {
    dir: state.dir,
    simulatorPort: ports.simulator,
    secrets,
  })
  state.write('operator.json', { ...operatorSettings(env), ...as.operator })
  if (noServices) return say(serversReady)
  const service = (name: string, directory = name, more: NodeJS.ProcessEnv = {}) =>
    supervisor.run(name, async () =>
      startService(name, file(directory), { ...env, ...as.service(directory), ...more }),
    )
  await service('simulator', 'provider-simulator')
  for (const name of ['status', 'submit', 'reconciler', 'archiver']) await service(name)
  for (let n = 1; n <= pollers; n++)
    await service(`poller-${n}`, 'poller', { POLLER_NAME: `poller-${n}` })
  await service('gateway', 'gateway', gatewaySettings(port, secrets))
  await untilReady(gatewayUrl)
  const { natsUrl, databaseUrl } = as.tool
  facts = { gatewayUrl, apiKey: secrets.apiKey, natsUrl, databaseUrl, simulatorUrl, ...demo }
  tell()
  greet(gatewayUrl, secrets.apiKey, demo)
}

const serversReady = `
Reelkeeper’s servers are ready: Postgres and nats-server, without services.
Run what wants the services stopped, as npm run reelkeeper -- postgres-restored; then Ctrl-C, and npm start.
`

/** On this machine: never by a proxy that the environment names, hence the agent. */
function isReady(url: string): Promise<boolean> {
  return new Promise((resolve) => {
    get(url, { agent: new Agent(), timeout: 5_000 }, (response) => {
      response.resume()
      resolve(response.statusCode === 200)
    })
      .once('timeout', function (this: ClientRequest) {
        this.destroy()
      })
      .once('error', () => resolve(false))
  })
}

async function untilReady(gatewayUrl: string): Promise<void> {
  for (let tries = 0; ; tries++) {
    if (await isReady(`${gatewayUrl}/readyz`)) return
    if (tries % 20 === 19) say('waiting for the gateway')
    await sleep(250)
  }
}

function greet(
  gatewayUrl: string,
  apiKey: string,
  demo: { projectId: string; scriptId: string; sceneIds: string[] },
): void {
  const auth = `-H 'Authorization: Bearer ${apiKey}'`
  say(`
Reelkeeper is ready.
  gateway  ${gatewayUrl}   (API reference: ${gatewayUrl}/docs)
  key      ${apiKey}

Submit a video, watch all of them live, read them:
  curl -X POST ${auth} ${gatewayUrl}/api/projects/${demo.projectId}/scripts/${demo.scriptId}/scenes/${demo.sceneIds[0]}/generate-video
  curl -N ${auth} ${gatewayUrl}/api/events
  curl ${auth} ${gatewayUrl}/api/scene-videos
`)
}

let isStopping = false

/**
 * Ctrl-C, SIGTERM, a closed terminal, or nobody there who reads us or started us: services first,
 * then the simulator, NATS and Postgres. A second signal hurries.
 */
function stopWhenAsked(supervisor: Supervisor, state: DevState): void {
  const stop = async () => {
    if (isStopping) return
    isStopping = true
    say('stopping')
    await supervisor.stop((name) => !servers.has(name))
    await supervisor.stop((name) => name === 'simulator' || name === 'nats')
    await supervisor.stop((name) => name === 'postgres')
    state.unlock()
    say('stopped')
    process.exit(0)
  }
  const hurry = () => {
    for (const { pid } of supervisor.processes()) kill(pid)
    state.unlock()
    process.exit(130)
  }
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'])
    process.on(signal, () => (isStopping ? hurry() : void stop()))
  for (const output of [process.stdout, process.stderr]) output.on('error', () => void stop())
  if (process.channel) process.on('disconnect', () => void stop())
  if (process.env['npm_lifecycle_event'] === 'start') whenOrphaned(() => void stop())
}

/** npm runs a script by a shell, and what ends npm ends that shell only. */
function whenOrphaned(stop: () => void): void {
  const startedBy = process.ppid
  setInterval(() => process.ppid !== startedBy && stop(), 500).unref()
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL')
  } catch {
    // gone already
  }
}

start().catch((err: unknown) => {
  if (isStopping) return
  say(`Reelkeeper did not start: ${(err as Error).message}`)
  process.exit(1)
})
