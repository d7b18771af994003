/** A lost create looked for in a provider's list, page by page, and confirmed task by task. */
import { redact } from '#libs/net/redact.ts'
import type { Lost, Searched } from '../provider.ts'
import type { Dialect, ListPage, OpenAccount, Request } from './dialect.ts'
import type { Sent } from './exchange.ts'
import { firstText, parseJson } from './fields.ts'
import { candidatesOn, isPromptOf, slackMs, type Candidate } from './listing.ts'
import { isLater, saidBy, waitOf } from './refusal.ts'

/** Beyond this a list is not read to its end, and proves nothing. */
const mostPages = 200
/** Tasks asked for alone, to compare their prompts. */
const mostAsked = 20

type Ask = (request: (account: OpenAccount) => Request) => Promise<Sent>
type Answered = { json: unknown } | { end: Searched }

export async function searchList(
  dialect: Dialect,
  baseUrl: string,
  lost: Lost,
  ask: Ask,
): Promise<Searched> {
  const listing = dialect.list!
  const candidates = new Map<string, Candidate>()
  let cursor: string | null = null
  for (let page = 0; page < mostPages; page++) {
    const { from, until, request } = lost
    const asked: ListPage = {
      from: from - slackMs,
      until: until + slackMs,
      model: request.model,
      cursor,
      baseUrl,
      ownId: request.ownId,
    }
    const answered = await read(dialect, ask, (account) => listing.ask(asked, account))
    if ('end' in answered) return answered.end
    try {
      const where = { listing, id: dialect.task.id }
      for (const one of candidatesOn(answered.json, where, lost))
        if (!lost.known.has(one.taskId)) candidates.set(one.taskId, one)
      cursor = listing.next(answered.json, cursor)
    } catch (err) {
      return { kind: 'none', reason: redact(`its list: ${(err as Error).message}`, [], 300) }
    }
    // rule: a list proves an absence only when it was read to its end
    if (cursor === null) return choose(dialect, [...candidates.values()], lost, ask)
  }
  return { kind: 'none', reason: `its list has more than ${mostPages} pages` }
}

async function read(dialect: Dialect, ask: Ask, request: Parameters<Ask>[0]): Promise<Answered> {
  const sent = await ask(request)
  if (sent.kind !== 'answered') return { end: { kind: 'none', reason: sent.reason } }
  const { status, text } = sent
  const json = parseJson(text)
  const said = saidBy(dialect, json)
  if (isLater(dialect, status, said))
    return { end: { kind: 'later', retryAfterMs: waitOf(dialect, sent, said) } }
  if (status >= 200 && status < 300 && typeof json === 'object' && said.code === '') return { json }
  return { end: { kind: 'none', reason: redact(`its list: ${status} ${said.code}`, [], 300) } }
}

async function choose(
  dialect: Dialect,
  candidates: Candidate[],
  lost: Lost,
  ask: Ask,
): Promise<Searched> {
  const sure = candidates.find((one) => one.sure)
  if (sure) return { kind: 'found', taskId: sure.taskId }
  const left: Candidate[] = []
  for (const one of candidates.filter(({ isSamePrompt }) => isSamePrompt !== false)) {
    if (one.isSamePrompt === true || !dialect.task.prompt || left.length >= mostAsked) {
      left.push(one)
      continue
    }
    const answered = await read(dialect, ask, (account) => dialect.get(one.taskId, account))
    if ('end' in answered) return answered.end
    const prompt = firstText(answered.json, dialect.task.prompt)
    const isSamePrompt = prompt === null ? null : isPromptOf(prompt, lost.request)
    if (isSamePrompt !== false) left.push({ ...one, isSamePrompt })
  }
  if (left.length === 0 && dialect.list?.provesAbsence === false)
    return { kind: 'doubtful', reason: 'it is not in its list, which may leave out a task' }
  if (left.length === 0) return { kind: 'absent' }
  // what has the very prompt is not doubted for others that only begin like it
  const same = left.filter(({ isSamePrompt }) => isSamePrompt === true)
  // rule: a task is taken from a list only when it alone fits
  if (same.length === 1 && !lost.hasRivals) return { kind: 'found', taskId: same[0]!.taskId }
  return {
    kind: 'doubtful',
    reason:
      left.length === 1
        ? 'one task in its list may be it, and nothing confirms it'
        : `${left.length} tasks in its list may be it`,
  }
}
