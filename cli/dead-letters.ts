/**
 * Messages nobody could handle: look at them, put them back once their cause is gone, or discard
 * them.
 */
import { connectBus, type NatsBus } from '#libs/bus/connect.ts'
import {
  deadLetter,
  deadLetters,
  discard,
  putBack,
  type DeadLetter,
} from '#libs/bus/dead-letters.ts'
import { createLogger } from '#libs/runtime/logger.ts'
import { printable } from './command.ts'
import { addressOf, natsConfig } from './config.ts'

export const usage = `dead-letters list                   every message nobody could handle, oldest first
dead-letters show <seq>             one of them, with its body
dead-letters put-back <seq…|--all>  queue them again, as they were
dead-letters discard <seq…>         forget them

NATS is found by NATS_URL, else as the operator of a running \`npm start\` here.`

const say = (line: string) => void process.stdout.write(`${line}\n`)
const complain = (line: string) => void process.stderr.write(`${line}\n`)

export async function run([verb = '', ...args]: string[]): Promise<number> {
  const act = Object.hasOwn(verbs, verb) ? verbs[verb] : undefined
  if (
    !act ||
    (verb === 'list' ? args.length > 0 : args.length === 0) ||
    (verb === 'show' && args.length > 1)
  )
    return misunderstood()
  const all = verb === 'put-back' && args.length === 1 && args[0] === '--all'
  if (!all && !args.every((arg) => /^[1-9]\d{0,15}$/.test(arg))) return misunderstood()
  const config = natsConfig()
  if (!config) {
    complain('Which NATS? Set NATS_URL, or run this where `npm start` is running.')
    return 1
  }
  let bus: NatsBus | undefined
  try {
    bus = await connectBus({
      config,
      user: 'operator',
      name: 'cli',
      log: createLogger('cli', 'silent'),
      patient: false,
    })
    return await act(
      bus,
      all ? (await deadLetters(bus)).map((letter) => letter.sequence) : args.map(Number),
    )
  } catch (err) {
    const where = addressOf(config)
    complain(
      bus
        ? `NATS at ${where} did not answer: ${(err as Error).message}`
        : `NATS is not reachable at ${where}: ${(err as Error).message}`,
    )
    return 1
  } finally {
    await bus?.drain()
  }
}

function misunderstood(): number {
  complain(usage)
  return 2
}

const verbs: Record<string, (bus: NatsBus, sequences: number[]) => Promise<number>> = {
  async list(bus) {
    const letters = await deadLetters(bus)
    for (const { sequence, at, subject, reason } of letters)
      say(
        `${String(sequence).padStart(6)}  ${at}  ${printable(subject)}  ${printable(reason).slice(0, 120)}`,
      )
    say(
      letters.length
        ? `${letters.length} dead letter${letters.length === 1 ? '' : 's'}`
        : 'No dead letters.',
    )
    return 0
  },
  show: (bus, sequences) =>
    forEach(bus, sequences, async (letter) => {
      const size =
        letter.truncatedFrom === null
          ? `${letter.data.length} bytes`
          : `${letter.truncatedFrom} bytes, of which ${letter.data.length} were kept`
      say(
        `sequence  ${letter.sequence}\nat        ${letter.at}\nsubject   ${printable(letter.subject)}\nreason    ${printable(letter.reason)}\nbody      ${size}\n`,
      )
      say(printable(new TextDecoder().decode(letter.data.subarray(0, 20_000))))
      return true
    }),
  'put-back': (bus, sequences) =>
    forEach(bus, sequences, async (letter) => {
      const outcome = await putBack(bus, letter)
      if (outcome === 'put back') say(`${letter.sequence} put back on ${printable(letter.subject)}`)
      if (outcome === 'queued already')
        complain(
          `${letter.sequence}: such a job is queued already for this video; discard the letter`,
        )
      if (outcome === 'truncated')
        complain(`${letter.sequence}: too large to have been kept whole; it can only be discarded`)
      return outcome === 'put back'
    }),
  discard: (bus, sequences) =>
    forEach(bus, sequences, async ({ sequence }) => {
      await discard(bus, sequence)
      say(`${sequence} discarded`)
      return true
    }),
}

/** 1 when any of them was not there or could not be treated. */
async function forEach(
  bus: NatsBus,
  sequences: number[],
  act: (letter: DeadLetter) => Promise<boolean>,
): Promise<number> {
  if (sequences.length === 0) say('No dead letters.')
  let code = 0
  for (const sequence of sequences) {
    const letter = await deadLetter(bus, sequence)
    if (!letter) complain(`There is no dead letter ${sequence}.`)
    if (!letter || !(await act(letter))) code = 1
  }
  return code
}
