import { existsSync, readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { natsUsers } from '#libs/bus/permissions.ts'
import { grants, roles } from '#libs/store/roles.ts'
import { archiverSettings } from '#services/archiver/config.ts'
import { fileSettings } from '#libs/files/settings.ts'
import { providerNames, settingPrefix } from '#libs/provider/registry.ts'
import { gatewaySettings } from '#services/gateway/config.ts'
import { pollerSettings } from '#services/poller/config.ts'
import { reconcilerSettings } from '#services/reconciler/config.ts'
import { statusSettings } from '#services/status/config.ts'
import { submitSettings } from '#services/submit/config.ts'
import { asyncApi } from '../deploy/asyncapi.ts'
import { natsConfig } from '../deploy/nats-config.ts'
import { ownEnvOf, ownNodeArgsOf } from '#libs/runtime/node-args.ts'

const read = (path: string) => readFileSync(path, 'utf8')
const services = ['gateway', 'submit', 'status', 'reconciler', 'archiver', 'poller']
/** What a service also takes in place of others, and is not given. */
const inPlace: Record<string, string> = { gateway: 'KEY_ENCRYPTION_KEY' }
const settings: Record<string, { shape: object }> = {
  gateway: gatewaySettings,
  submit: submitSettings,
  status: statusSettings,
  reconciler: reconcilerSettings,
  archiver: archiverSettings,
  poller: pollerSettings,
}
/** Every setting a service reads. */
const settingsOf = (service: string) =>
  new Set(Object.keys({ ...settings[service]!.shape, ...ownEnvOf(service) }))

describe('Compose', () => {
  interface Compose {
    services: Record<
      string,
      {
        command?: string[]
        environment?: Record<string, string>
        env_file?: string[]
        volumes?: string[]
        depends_on?: Record<string, { condition: string }>
        healthcheck?: object
        deploy?: { replicas: number }
      }
    >
  }
  const compose = parse(read('docker-compose.yml'), { merge: true }) as Compose

  it.each(services)(
    'runs %s after what it needs, with a health check and only settings it reads',
    (service) => {
      const one = compose.services[service]!
      expect(existsSync(one.command!.at(-1)!)).toBe(true)
      expect(one.command!.slice(0, -1)).toEqual(ownNodeArgsOf(service))
      expect(one.healthcheck).toBeDefined()
      expect(Object.keys(one.depends_on!)).not.toHaveLength(0)
      expect(one.environment).toMatchObject(ownEnvOf(service))
      for (const name of Object.keys(one.environment!))
        expect(settingsOf(service), `${service} does not read ${name}`).toContain(name)
      const elsewhere = /^(NATS_(TOKEN|CREDS|NKEY|CA|CERT|KEY)|HEALTH_\w+|HOST|POLLER_NAME)$/
      const isProviders = (name: string) =>
        providerNames.some((provider) => name.startsWith(settingPrefix(provider)))
      const takesProviders = Object.keys(settings[service]!.shape).some(isProviders)
      expect(one.env_file ?? []).toEqual([
        ...(takesProviders ? ['deploy/providers.env'] : []),
        ...(service === 'submit' ? ['deploy/provider-keys.env'] : []),
      ])
      expect(
        Object.keys(settings[service]!.shape).filter(
          (name) =>
            !elsewhere.test(name) &&
            !isProviders(name) &&
            !(name in one.environment!) &&
            name !== inPlace[service],
        ),
        `pass these settings to ${service} in docker-compose.yml and name them in .env.example`,
      ).toEqual([])
    },
  )

  it('gives keys that open to who asks providers, and keys that spend to submit only', () => {
    const holders = (name: string) =>
      Object.keys(compose.services).filter((one) => compose.services[one]!.environment?.[name])
    expect(holders('KEY_ENCRYPTION_KEY')).toEqual(['operator', 'submit', 'archiver', 'poller'])
    expect(holders('TOAPIS_API_KEY')).toEqual(['submit'])
  })

  it('shows the operator’s commands the store of files that the services use', () => {
    const { environment, volumes } = compose.services['operator']!
    const { environment: archiver, volumes: itsVolumes } = compose.services['archiver']!
    for (const name of Object.keys(fileSettings))
      expect(environment![name], name).toBe(archiver![name])
    expect(environment!['FILE_DAYS']).toBe(
      compose.services['reconciler']!.environment!['FILE_DAYS'],
    )
    expect(volumes).toEqual(itsVolumes)
  })

  it('migrates before the services and runs two pollers', () => {
    expect(compose.services['status']!.depends_on!['migrate']!.condition).toBe(
      'service_completed_successfully',
    )
    expect(compose.services['poller']!.deploy!.replicas).toBe(2)
  })
})

it('alerts on what the archiver counts', () => {
  const { groups } = parse(read('deploy/alerts.yaml')) as {
    groups: { rules: { expr: string }[] }[]
  }
  const told = read('services/archiver/service.ts')
  for (const { expr } of groups.flatMap(({ rules }) => rules)) {
    const [, name, value] = /reelkeeper_(\w+)\{\w+="(\w+)"\}/.exec(expr)!
    expect(told).toContain(`'${name}'`)
    expect(told + read('services/archiver/keep-file.ts')).toContain(value)
  }
})

it('reads nothing in Compose that .env.example does not name, and names nothing in vain', () => {
  const used = new Set(
    [...read('docker-compose.yml').matchAll(/\$\{([A-Z0-9_]+)/g)].map((match) => match[1]!),
  )
  const named = [...read('.env.example').matchAll(/^#?([A-Z][A-Z0-9_]+)=/gm)].map(
    (match) => match[1]!,
  )
  expect([...used].toSorted()).toEqual(named.toSorted())
})

it('keeps deploy/nats.conf in step with the table of permissions', () => {
  expect(read('deploy/nats.conf'), 'run: node deploy/nats-config.ts > deploy/nats.conf').toBe(
    natsConfig(),
  )
})

it('keeps deploy/asyncapi.json in step with the schema of events', () => {
  expect(JSON.parse(read('deploy/asyncapi.json')), 'run: node deploy/asyncapi.ts').toEqual(
    asyncApi(),
  )
})

it('asks for a password on NATS and Postgres, one for each service', () => {
  const compose = read('docker-compose.yml')
  for (const user of natsUsers)
    expect(compose.match(new RegExp(`NATS_${user.toUpperCase()}_PASSWORD`, 'g'))).not.toBeNull()
  for (const role of roles)
    expect(compose).toContain(`POSTGRES_${role.replace('reelkeeper_', '').toUpperCase()}_PASSWORD`)
})

it('gives every table of the schema a line in the grants', () => {
  const models = [...read('prisma/schema.prisma').matchAll(/^model (\w+)/gm)].map(
    (match) => match[1]!,
  )
  expect(
    models.filter((one) => !(one in grants)),
    'say in libs/store/roles.ts which service may do what with these tables',
  ).toEqual([])
})

it('copies what exists into the image', () => {
  const sources = [...read('deploy/Dockerfile').matchAll(/^COPY (?!--from)(.+) \S+$/gm)].flatMap(
    (match) => match[1]!.split(' '),
  )
  expect(sources.length).toBeGreaterThan(3)
  for (const source of sources) expect(existsSync(source), source).toBe(true)
})
