/**
 * A lost create, looked for in the provider's list of the tasks made since it was sent. The list is
 * read to its end; a task is ours when it carries our mark, else when model, time and parameters
 * fit and the prompt is the same, and it alone fits. Whatever was not read to the end, or not
 * understood, proves no absence.
 */
import type { CreateRequest } from '../provider.ts'
import { at, firstText, idsOf, instantOf } from './fields.ts'
import type { Listing, Paths } from './dialect.ts'

/** What a page was found to hold. `sure`: it carries our mark. */
export interface Candidate {
  taskId: string
  sure: boolean
  /** Null: the item does not tell its prompt, or nobody can tell. */
  isSamePrompt: boolean | null
}

/**
 * The pages of a list that has no cursor but numbers, from `first`. Its end is an empty page: one
 * that holds less than was asked for may be as large as pages get there.
 */
export const pageNumbers =
  (items: string, first = 1): Listing['next'] =>
  (answer, cursor) =>
    // rule: a short page is not the end of a list
    at(answer, items).length === 0 ? null : String(Number(cursor ?? first) + 1)

/** Whether the list is there, though it may be empty (or null). */
function isTold(answer: unknown, items: string): boolean {
  const names = items.replace(/\[\]$/, '').split('.')
  const list = names.reduce<unknown>(
    (value, name) => (value as Record<string, unknown> | null | undefined)?.[name],
    answer,
  )
  return list === null || Array.isArray(list)
}

/** Letters and digits alone. */
const bare = (text: string) => text.normalize('NFKD').replaceAll(/[^\p{L}\p{N}]/gu, '')

/**
 * Whether a prompt as told is the one that was sent. Null: they differ only by what a provider may
 * have made of it (cut, added to, its blanks and signs written otherwise), and nobody can tell.
 */
export function isPromptOf(told: string, { prompt }: CreateRequest): boolean | null {
  if (told === prompt.trim()) return true
  const [one, other] = [bare(told), bare(prompt)]
  // rule: a prompt that was cut is not taken for somebody else’s
  return one.startsWith(other) || other.startsWith(one) ? null : false
}

const isMark = (told: unknown): told is string => typeof told === 'string' && told !== ''
/** Whether a longer text has it as a whole. */
const names = (text: string, mark: string) => text === mark || text.split(/[^\w-]+/).includes(mark)

/** Clocks differ; a create may be noted a moment before it was sent by ours. */
export const slackMs = 120_000

/** @throws where there is no list, or an item tells no id: it is then not understood */
export function candidatesOn(
  answer: unknown,
  { listing, id }: { listing: Listing; id: Paths },
  lost: { request: CreateRequest; from: number; until: number },
): Candidate[] {
  const { request, from, until } = lost
  const mark = (listing.markOf ?? String)(request.ownId)
  // rule: an answer without a list proves no absence
  if (listing.provesAbsence !== false && !isTold(answer, listing.items))
    throw new Error('there is none in the answer')
  return at(answer, listing.items).flatMap((item): Candidate[] => {
    const taskId = listing.handle
      ? listing.handle(item)
      : (idsOf(item, listing.id ?? id)[0] ?? null)
    if (taskId === null) throw new Error('an item of the list tells no id')
    if (listing.mark && listing.isMarked?.(request) !== false) {
      const told = listing.mark.flatMap((path) => at(item, path)).filter(isMark)
      const isOurs = told.some((one) => names(one, mark))
      if (isOurs) return [{ taskId, sure: true, isSamePrompt: null }]
      // rule: what has no mark is not taken for somebody else’s
      if (told.length > 0 || !listing.mayLackMark) return []
    }
    const createdAt = instantOf(item, listing.createdAt ?? [])
    const isThen =
      createdAt === null || (createdAt >= from - slackMs && createdAt <= until + slackMs)
    const model = firstText(item, listing.model ?? [])
    const isModel = model === null || model === request.model
    if (!isThen || !isModel || listing.fits?.(item, request) === false) return []
    const prompt = firstText(item, listing.prompt ?? [])
    const isSamePrompt = prompt === null ? null : isPromptOf(prompt, request)
    return [{ taskId, sure: false, isSamePrompt }]
  })
}
