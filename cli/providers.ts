/**
 * A provider tried out with the account of whoever runs this: one video, as cheap as is known, and
 * what its answers were where they differed from what is declared. It pays for that video, so it
 * asks first. The key is told nowhere: every answer has passed the edge.
 */
import { randomUUID } from 'node:crypto'
import { createInterface } from 'node:readline/promises'
import { parseArgs } from 'node:util'
import { z } from 'zod'
import type { CreateRequest, Provider, TaskAnswer } from '#libs/provider/provider.ts'
import { Providers } from '#libs/provider/providers.ts'
import { describeProviders } from '#libs/provider/registry.ts'
import {
  configuredProviders,
  credentialNames,
  credentialSettings,
  edgeOptions,
  edgeSettings,
  providerSettings,
  type ConfiguredProvider,
} from '#libs/provider/settings.ts'
import { sleep, unixMs } from '#libs/runtime/clock.ts'
import { readConfig } from '#libs/runtime/config.ts'
import { UsageError, type Command } from './command.ts'
import { environment } from './config.ts'

const usage = `providers list                      every provider: its models' default, how a lost create is recovered, whether it can cancel
providers try NAME                  makes one video there with the account of the settings, and tells how that went and what
  [--model M] [--prompt P] [--yes]  differed from what is declared; asks before it spends`

const say = (line: string) => void process.stdout.write(`${line}\n`)
const settings = z.object({ ...edgeSettings, ...providerSettings, ...credentialSettings })
/** Asked for no longer than this. */
const longestMs = 60 * 60_000
/** Answers in a row that say nothing before it is given up. */
const mostSilence = 20

function list(): void {
  const all = configuredProviders(readConfig(settings, environment()))
  for (const { name, model, recovery, cancel } of describeProviders(all))
    say(`${name.padEnd(20)} ${model.padEnd(40)} ${recovery.padEnd(8)} cancel: ${cancel || 'no'}`)
}

/** The shortest and smallest that is known of a model. */
function cheapest({ declaration }: ConfiguredProvider, model: string): Partial<CreateRequest> {
  const known = declaration.models.find((one) => one.name === model)
  return {
    durationSeconds: known?.durations?.length ? Math.min(...known.durations) : undefined,
    resolution: known?.resolutions?.[0],
    aspectRatio: known?.aspectRatios?.find((one) => one === '9:16') ?? known?.aspectRatios?.[0],
  }
}

async function maySpend(question: string): Promise<boolean> {
  const terminal = createInterface({ input: process.stdin, output: process.stdout })
  try {
    // an input that has ended answers nothing
    const ended = new Promise<string>((resolve) => terminal.once('close', () => resolve('')))
    const answer = await Promise.race([terminal.question(`${question} [yes/no] `), ended])
    return answer.trim() === 'yes'
  } finally {
    terminal.close()
  }
}

const isEnd = ({ kind }: TaskAnswer) => kind === 'done' || kind === 'failed'
const told = (answer: object) => JSON.stringify(answer)

/** The course of a task, each answer once, until its end; what was not understood. */
async function follow(ask: () => Promise<TaskAnswer>, everyMs: number): Promise<string[]> {
  const odd: string[] = []
  let last = ''
  let silent = 0
  const until = unixMs() + longestMs
  while (unixMs() < until) {
    const answer = await ask()
    if (told(answer) !== last) say(`  ${new Date(unixMs()).toISOString()} ${told(answer)}`)
    last = told(answer)
    if (isEnd(answer)) return odd
    const isSilent = answer.kind === 'none' || answer.kind === 'missing'
    silent = isSilent || answer.kind === 'unknown' || answer.kind === 'unusable' ? silent + 1 : 0
    if (silent > 0) odd.push(`a query was answered: ${last}`)
    if (silent >= mostSilence) return [...odd, 'it was given up: nothing was understood any more']
    const asked = answer.kind === 'later' ? (answer.retryAfterMs ?? 0) : 0
    await sleep(Math.max(everyMs, asked))
  }
  return [...odd, `it has not ended within ${longestMs / 60_000} minutes`]
}

/** Whether a create that is known to be accepted is found by the declared form of recovery. */
async function recovered(
  provider: Provider,
  account: { baseUrl: string; apiKey: string },
  made: { request: CreateRequest; taskId: string; from: number },
): Promise<string[]> {
  const { request, taskId, from } = made
  const { can } = provider
  if (can.findByOwnId) {
    const found = await provider.find(account, { ownId: request.ownId, request })
    say(`  by its own id: ${told(found)}`)
    return found.taskId === taskId ? [] : [`the look-up by own id did not find it: ${told(found)}`]
  }
  if (can.listMs === undefined) return []
  const known = new Set<string>()
  const found = await provider.search(account, { request, from, until: unixMs(), known })
  say(`  in the list: ${told(found)}`)
  return found.kind === 'found' && found.taskId === taskId
    ? []
    : [`the list did not give it: ${told(found)}`]
}

async function tryOut(one: ConfiguredProvider, provider: Provider, more: Partial<CreateRequest>) {
  const { baseUrl, apiKey } = one
  const account = { baseUrl, apiKey: apiKey ?? '' }
  const model = more.model ?? one.model
  const request: CreateRequest = {
    ownId: `${randomUUID()}-1`,
    prompt: more.prompt ?? 'A paper boat on a calm lake at dawn',
    model,
    ...cheapest(one, model),
  }
  say(`  ${told(request)}`)
  const from = unixMs()
  const created = await provider.create(account, request)
  say(`  ${new Date(unixMs()).toISOString()} create: ${told(created)}`)
  if (created.kind !== 'accepted') return [`the create was not accepted: ${told(created)}`]
  const { taskId } = created
  const everyMs = Math.max(5_000, one.declaration.leastIntervalMs ?? 0)
  const odd = await follow(async () => (await provider.get(account, taskId)).answer, everyMs)
  return [...odd, ...(await recovered(provider, account, { request, taskId, from }))]
}

async function tried(args: string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args,
    allowPositionals: true,
    options: {
      model: { type: 'string' },
      prompt: { type: 'string' },
      yes: { type: 'boolean', default: false },
    },
  })
  const config = readConfig(settings, environment())
  const [name = ''] = positionals
  const one = configuredProviders(config).find((known) => known.name === name)
  if (!one || positionals.length > 1) throw new UsageError('Name one provider.')
  if (one.apiKey === null) throw new Error(`Set ${credentialNames(name).join(', ')}.`)
  say(`${name} at ${one.baseUrl}, model ${values.model ?? one.model}`)
  const { yes, ...more } = values
  if (!yes && !(await maySpend('This makes one video, which the account pays for. Go on?')))
    return 1
  const timeouts = { createTimeoutMs: 60_000, getTimeoutMs: 30_000 }
  const nowSeconds = () => Math.floor(unixMs() / 1_000)
  const options = { ...edgeOptions(config), ...timeouts, nowSeconds }
  await using providers = new Providers([one], options)
  const odd = await tryOut(one, providers.of(name)!, more)
  for (const line of odd) say(`differs: ${line}`)
  say(odd.length === 0 ? 'Nothing differed from what is declared.' : 'Please tell the maintainers.')
  return odd.length === 0 ? 0 : 1
}

export const providers: Command = {
  usage,
  async run([act = '', ...args]) {
    if (act === 'list' && args.length === 0) return list()
    if (act === 'try') return tried(args)
    throw new UsageError('Say what of providers: list, or try NAME.')
  },
}
