/** The manifests: of Kubernetes' and KEDA's own schema, and in step with what the services read. */
import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative, resolve } from 'node:path'
import { describe, expect, it } from 'vitest'
import { parseAllDocuments } from 'yaml'
import { z } from 'zod'
import { streams } from '#libs/bus/streams.ts'
import { consumers } from '#libs/bus/stream-configs.ts'
import { natsUsers } from '#libs/bus/permissions.ts'
import { fileSettings } from '#libs/files/settings.ts'
import { natsSettings } from '#libs/runtime/config.ts'
import { keyEncryptionKey } from '#libs/runtime/secrets.ts'
import { operatorRole, roles } from '#libs/store/roles.ts'
import { archiverSettings } from '#services/archiver/config.ts'
import { gatewaySettings } from '#services/gateway/config.ts'
import { pollerSettings } from '#services/poller/config.ts'
import { reconcilerSettings } from '#services/reconciler/config.ts'
import { statusSettings } from '#services/status/config.ts'
import { submitSettings } from '#services/submit/config.ts'
import { ownEnvOf, ownNodeArgsOf } from '#libs/runtime/node-args.ts'

interface Env {
  name: string
  value?: string
}
interface Container {
  args: string[]
  env?: Env[]
  envFrom?: { configMapRef?: { name: string }; secretRef?: { name: string } }[]
}
interface Manifest {
  apiVersion: string
  kind: string
  metadata: { name: string; labels?: Record<string, string> }
  spec: {
    template: { spec: { containers: Container[]; terminationGracePeriodSeconds: number } }
    selector: { matchLabels: Record<string, string> }
    scaleTargetRef: { name: string }
    triggers: { type: string; metadata: Record<string, string> }[]
  }
  data?: Record<string, string>
  stringData?: Record<string, string>
}

const settings: Record<string, { shape: object; safeParse(env: object): { success: boolean } }> = {
  gateway: gatewaySettings,
  submit: submitSettings,
  status: statusSettings,
  reconciler: reconcilerSettings,
  archiver: archiverSettings,
  poller: pollerSettings,
}
const services = Object.keys(settings)
const parsed = (text: string) =>
  parseAllDocuments(text).map((document) => document.toJS() as Manifest)
const read = (name: string) => parsed(readFileSync(`deploy/kubernetes/${name}.yaml`, 'utf8'))

/** Null where there is no kubectl. @throws with what it says of a broken kustomization */
function render(directory: string): Manifest[] | null {
  const done = spawnSync('kubectl', ['kustomize', directory], { encoding: 'utf8' })
  if (done.error) return null
  expect(done.stderr).toBe('')
  return parsed(done.stdout)
}
/** With KEDA, as a kustomization of one's own names it; without kubectl, the files as they are. */
function withKeda(): Manifest[] {
  const directory = mkdtempSync(join(tmpdir(), 'reelkeeper-keda-'))
  try {
    const at = relative(directory, resolve('deploy/kubernetes'))
    const text = `resources: [${at}]\ncomponents: [${at}/components/keda]\n`
    writeFileSync(join(directory, 'kustomization.yaml'), text)
    return render(directory) ?? read('components/keda/poller')
  } finally {
    rmSync(directory, { recursive: true })
  }
}
const all =
  render('deploy/kubernetes') ??
  ['namespace', 'supporting', 'deployments', 'autoscaling', 'operator'].flatMap(read)
const secrets = read('secret.sample')
const named = (kind: string, name: string) =>
  all.find((one) => one.kind === kind && one.metadata.name === name)
const containerOf = (service: string) =>
  named('Deployment', service)!.spec.template.spec.containers[0]!

/** What a service is told, by the manifests and the sample secrets that they name. */
function environmentOf(service: string): Record<string, string> {
  const { env = [], envFrom = [] } = containerOf(service)
  const shared = envFrom.map(({ configMapRef, secretRef }) =>
    configMapRef
      ? named('ConfigMap', configMapRef.name)!.data!
      : secrets.find((one) => one.metadata.name === secretRef!.name)!.stringData!,
  )
  const own = env.map(({ name, value = 'x' }) => [name, value] as const)
  return Object.assign({}, ...shared, Object.fromEntries(own)) as Record<string, string>
}

describe('The manifests', () => {
  it('are of the schema of their kinds, with KEDA and without', async () => {
    for (const manifest of [...all, ...withKeda(), ...secrets]) {
      const { apiVersion, kind } = manifest
      const from = apiVersion.startsWith('keda') ? '@kubernetes-models/keda' : 'kubernetes-models'
      const module = (await import(`${from}/${apiVersion}/${kind}`)) as Record<
        string,
        new (data: object) => { validate(): void }
      >
      new module[kind]!(manifest).validate()
    }
  })

  it('have no field that their kinds do not know', () => {
    const lines = [...all, ...withKeda(), ...secrets].map((manifest, i) => {
      const { apiVersion, kind } = manifest
      const from = apiVersion.startsWith('keda') ? '@kubernetes-models/keda' : 'kubernetes-models'
      return `import type { I${kind} as T${i} } from '${from}/${apiVersion}/${kind}'
export const m${i}: T${i} = ${JSON.stringify(manifest)}`
    })
    const directory = mkdtempSync(resolve('node_modules/.kubernetes-'))
    try {
      writeFileSync(join(directory, 'manifests.ts'), lines.join('\n'))
      const options = [
        '--noEmit',
        '--ignoreConfig',
        '--strict',
        '--skipLibCheck',
        '--module',
        'nodenext',
      ]
      const done = spawnSync(
        'node_modules/.bin/tsc',
        [...options, join(directory, 'manifests.ts')],
        {
          encoding: 'utf8',
        },
      )
      expect(done.stdout).toBe('')
      expect(done.status).toBe(0)
    } finally {
      rmSync(directory, { recursive: true })
    }
  })
})

describe('The services there', () => {
  it.each(services)(
    'run %s with all that it needs, and nothing that it does not read',
    (service) => {
      const { args } = containerOf(service)
      const spec = named('Deployment', service)!.spec.template.spec
      expect(existsSync(args.at(-1)!)).toBe(true)
      expect(args).toEqual(expect.arrayContaining(ownNodeArgsOf(service)))
      // a service stops within 20 s
      expect(spec.terminationGracePeriodSeconds).toBeGreaterThan(25)
      expect(containerOf(service)).toMatchObject({
        livenessProbe: { timeoutSeconds: 5 },
        readinessProbe: {},
        startupProbe: {},
        resources: { limits: {} },
        securityContext: { readOnlyRootFilesystem: true, allowPrivilegeEscalation: false },
      })
      const known = Object.keys({ ...settings[service]!.shape, ...ownEnvOf(service) })
      const shared = Object.keys(named('ConfigMap', 'reelkeeper')!.data!)
      const environment = environmentOf(service)
      expect(environment).toMatchObject(ownEnvOf(service))
      for (const name of Object.keys(environment).filter((one) => !shared.includes(one)))
        expect(known, `${service} does not read ${name}`).toContain(name)
      const key = Buffer.alloc(32).toString('base64')
      const filled = Object.entries(environment).map(([name, value]) => [
        name,
        /^KEY_|_TOKEN_KEY$/.test(name) ? key : value,
      ])
      expect(settings[service]!.safeParse(Object.fromEntries(filled))).toMatchObject({
        success: true,
      })
    },
  )

  it('share only settings that some service reads, and hold no secret', () => {
    for (const name of Object.keys(named('ConfigMap', 'reelkeeper')!.data!)) {
      const readers = services.filter((service) => name in settings[service]!.shape)
      expect(readers, name).not.toEqual([])
    }
    expect(all.filter((one) => one.kind === 'Secret')).toEqual([])
    const inline = services.flatMap((service) => containerOf(service).env ?? [])
    expect(inline.filter(({ name }) => /KEY|URL|SECRET|PASSWORD/.test(name))).toEqual([])
  })

  it('give each service a secret of its own, and keys that spend or open to few', () => {
    const holders = (name: string) =>
      services.filter((service) => name in environmentOf(service)).toSorted()
    expect(holders('KEY_ENCRYPTION_KEY')).toEqual(['archiver', 'poller', 'submit'])
    expect(holders('TOAPIS_API_KEY')).toEqual(['submit'])
    for (const service of services) {
      const own = secrets.find((one) => one.metadata.name === `reelkeeper-${service}`)!.stringData!
      expect(own['NATS_PASSWORD'], service).toBeDefined()
      const url = own['DATABASE_URL']
      if (url) expect(roles, service).toContain(new URL(url).username)
    }
  })
})

it('The operator’s commands find there what they need, when their pod is wanted', () => {
  expect(named('Deployment', 'operator')!.spec).toMatchObject({ replicas: 0 })
  const environment = environmentOf('operator')
  expect(new URL(environment['DATABASE_URL']!).username).toBe(operatorRole)
  expect(natsUsers).toContain(environment['NATS_USER'])
  const key = Buffer.alloc(32).toString('base64')
  const commands = z.object({
    ...natsSettings,
    ...fileSettings,
    KEY_ENCRYPTION_KEY: keyEncryptionKey,
  })
  expect(commands.parse({ ...environment, KEY_ENCRYPTION_KEY: key })).toMatchObject({
    NATS_USER: 'operator',
    NATS_PASSWORD: expect.any(String),
    FILES_STORE: 's3',
    S3_BUCKET: expect.any(String),
    S3_SECRET_ACCESS_KEY: expect.any(String),
  })
})

describe('Autoscalers and budgets', () => {
  it('scale gateway, submit and pollers, and drain one pod of each at a time', () => {
    const scaled = all.filter((one) => one.kind === 'HorizontalPodAutoscaler')
    const targets = scaled.map((one) => one.spec.scaleTargetRef.name)
    expect(targets.toSorted()).toEqual(['gateway', 'poller', 'submit'])
    for (const name of targets)
      expect(named('Deployment', name)!.spec).not.toHaveProperty('replicas')
    for (const name of ['gateway', 'submit', 'status', 'poller'])
      expect(named('PodDisruptionBudget', name)!.spec.selector.matchLabels).toEqual({ app: name })
  })

  it('let KEDA count at the consumer of unclaimed videos, and no other autoscaler beside it', () => {
    const found = withKeda()
    const { triggers } = found.find((one) => one.kind === 'ScaledObject')!.spec
    expect(triggers.find(({ type }) => type === 'nats-jetstream')!.metadata).toMatchObject({
      stream: streams.work,
      consumer: consumers.pollers,
    })
    const beside = found.filter(
      (one) => one.kind === 'HorizontalPodAutoscaler' && one.metadata.name === 'poller',
    )
    expect(beside).toEqual([])
  })
})
