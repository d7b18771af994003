/**
 * Who may say and hear what on NATS: one user per service, with the subjects it needs and no other.
 * The server's configuration is generated from this table: by `npm start` with generated passwords,
 * and as deploy/nats.conf with passwords from the environment.
 *
 * Replies go to an inbox of the asking service (`_INBOX_<user>.…`), so no service hears another's.
 * A subject that is missing here fails loudly: the server refuses it, and the service logs the
 * refusal as an error.
 */
import { streams } from './streams.ts'

export const serviceUsers = [
  'gateway',
  'submit',
  'poller',
  'status',
  'reconciler',
  'archiver',
] as const
/**
 * `operator` is the CLI. `tool` reads everything and changes nothing but consumers of its own:
 * `npm start` writes it into dev.json. `subscriber` reads the public events.
 */
export const natsUsers = [...serviceUsers, 'operator', 'tool', 'subscriber'] as const
export type NatsUser = (typeof natsUsers)[number]

export interface Permissions {
  publish: string[]
  subscribe: string[]
}

/** Where a user's replies go. Tools and subscribers keep the default of every client. */
export const inboxPrefix = (user: NatsUser): string =>
  user === 'tool' || user === 'subscriber' ? '_INBOX' : `_INBOX_${user}`

const api = (rest: string) => `$JS.API.${rest}`
const info = (stream: string) => api(`STREAM.INFO.${stream}`)
const get = (stream: string) => api(`STREAM.MSG.GET.${stream}`)
const replyTo = (user: NatsUser) => `${inboxPrefix(user)}.>`
/** Consumers that live as long as a reader: made, read and removed by itself. */
const follow = (stream: string) => [
  info(stream),
  api(`CONSUMER.CREATE.${stream}.>`),
  api(`CONSUMER.INFO.${stream}.*`),
  api(`CONSUMER.MSG.NEXT.${stream}.*`),
  api(`CONSUMER.DELETE.${stream}.*`),
]
/** A durable consumer that the status service has made. */
const work = (stream: string, consumer: string) => [
  api(`CONSUMER.INFO.${stream}.${consumer}`),
  api(`CONSUMER.MSG.NEXT.${stream}.${consumer}`),
  `$JS.ACK.${stream}.${consumer}.>`,
]
/** Everything of a consumer, durable or not, and its acknowledgements. */
const consumersOf = (stream: string) => [
  ...follow(stream),
  get(stream),
  // by clients of before nats-server 2.9
  api(`CONSUMER.CREATE.${stream}`),
  api(`CONSUMER.DURABLE.CREATE.${stream}.*`),
  api(`CONSUMER.NAMES.${stream}`),
  api(`CONSUMER.LIST.${stream}`),
  `$JS.ACK.${stream}.>`,
]
const names = api('STREAM.NAMES')
const publishing = ['video.out.*.*', info(streams.outbox), get(streams.outbox)]

// prettier-ignore
const table: Record<NatsUser, Permissions> = {
  gateway: {
    publish: [
      'video.command.generate', 'video.command.cancel', 'video.command.retry',
      'video.command.test-config', 'video.command.erase', 'video.command.callback',
      'video.nudge.*', names, get(streams.video),
      ...follow(streams.video),
      // what operators look at: sessions of pollers, and dead letters
      get(streams.ownership), ...follow(streams.ownership), info(streams.dead), get(streams.dead),
    ],
    subscribe: [],
  },
  submit: {
    publish: [
      'video.work.submit.*', 'video.work.poll.*', 'video.work.settle.*', 'video.nudge.*',
      'video.account.queries', 'video.account.creates',
      'video.dead.work-submit.*', 'video.dead.work-settle.*', names, ...publishing,
      ...work(streams.work, 'submit'), ...work(streams.work, 'settle'), replyTo('gateway'),
    ],
    subscribe: ['video.command.*', 'video.account.creates'],
  },
  poller: {
    publish: [
      'video.claim.commit', 'video.claim.give.*', 'video.report.*', 'video.work.poll.*',
      'video.dead.work-poll.*', '$KV.OWNERSHIP.session.*', '$KV.OWNERSHIP.owner.*', names,
      get(streams.ownership), ...follow(streams.ownership), ...work(streams.work, 'pollers'),
      replyTo('poller'), replyTo('reconciler'),
    ],
    subscribe: [
      'video.nudge.*', 'video.account.queries', 'video.claim.give.*', 'video.claim.ask.*', '$KV.OWNERSHIP.session.*',
    ],
  },
  status: {
    publish: [
      'video.report.*', 'video.dead.report.*', names, ...publishing, api('STREAM.LIST'),
      ...Object.values(streams).flatMap((stream) => [
        info(stream), api(`STREAM.CREATE.${stream}`), api(`STREAM.UPDATE.${stream}`),
      ]),
      api(`STREAM.DELETE.${streams.ownership}`),
      ...[streams.work, streams.reports].flatMap((stream) => [
        api(`CONSUMER.CREATE.${stream}.>`), api(`CONSUMER.LIST.${stream}`),
        api(`CONSUMER.INFO.${stream}.*`), api(`CONSUMER.DURABLE.CREATE.${stream}.*`),
      ]),
      ...work(streams.reports, 'status'), replyTo('poller'),
    ],
    subscribe: ['video.claim.commit'],
  },
  reconciler: {
    publish: [
      'video.work.submit.*', 'video.work.poll.*', 'video.work.settle.*', 'video.nudge.*',
      'video.claim.ask.*', '$KV.OWNERSHIP.owner.*', '$KV.OWNERSHIP.session.*', names,
      info(streams.work),
      get(streams.ownership), ...follow(streams.ownership), ...publishing,
    ],
    subscribe: [],
  },
  archiver: { publish: [names, ...publishing], subscribe: ['video.completed'] },
  operator: {
    publish: [
      'video.work.*.*', 'video.report.*', names, info('*'), get('*'),
      api(`STREAM.MSG.DELETE.${streams.dead}`), ...follow(streams.outbox),
    ],
    subscribe: [],
  },
  tool: {
    publish: [
      api('INFO'), names, api('STREAM.LIST'), info('*'), get('*'),
      api('CONSUMER.INFO.*.*'), api('CONSUMER.NAMES.*'), api('CONSUMER.LIST.*'),
      ...[streams.video, streams.outbox, streams.dead, streams.ownership].flatMap(consumersOf),
    ],
    subscribe: ['>'],
  },
  subscriber: {
    publish: [api('INFO'), names, ...consumersOf(streams.video)],
    subscribe: ['video.*'],
  },
}

/** What a user may publish and subscribe, its own inbox included. */
export function permissionsOf(user: NatsUser): Permissions {
  const { publish, subscribe } = table[user]
  return { publish: [...new Set(publish)], subscribe: [...new Set([...subscribe, replyTo(user)])] }
}

/**
 * The `authorization` block of nats-server's configuration. `password` gives the text that stands
 * there for a user: a quoted string, or `$NAME` of an environment variable.
 */
export function authorization(password: (user: NatsUser) => string): string {
  const list = (subjects: string[]) => `[${subjects.map((one) => JSON.stringify(one)).join(', ')}]`
  // nats-server takes `video.>` for one of `video.*`: what lies deeper is denied by name
  const deeper = (subjects: string[]) =>
    subjects.filter((one) => one.endsWith('*')).map((one) => `${one}.>`)
  const users = natsUsers.map((user) => {
    const { publish, subscribe } = permissionsOf(user)
    return `    { user: ${user}, password: ${password(user)}, permissions: {
      publish: { allow: ${list(publish)} }
      subscribe: { allow: ${list(subscribe)}, deny: ${list(deeper(subscribe))} }
    } }`
  })
  return `authorization {\n  users = [\n${users.join('\n')}\n  ]\n}\n`
}
