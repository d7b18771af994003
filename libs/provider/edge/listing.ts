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
  /** Null: the item does not tell its prompt. */
  isSamePrompt: boolean | null
}

/** The pages of a list that has no cursor but numbers, from `first`. */
export const pageNumbers =
  (items: string, size: number, first = 1): Listing['next'] =>
  (answer, cursor) =>
    at(answer, items).length < size ? null : String(Number(cursor ?? first) + 1)

const isMark = (told: unknown): told is string => typeof told === 'string' && told !== ''
/** Whether a longer text has it as a whole. */
const names = (text: string, mark: string) => text === mark || text.split(/[^\w-]+/).includes(mark)

/** Clocks differ; a create may be noted a moment before it was sent by ours. */
export const slackMs = 120_000

/** @throws where an item is no object, or tells no id: the list is then not understood */
export function candidatesOn(
  answer: unknown,
  { listing, id }: { listing: Listing; id: Paths },
  lost: { request: CreateRequest; from: number; until: number },
): Candidate[] {
  const { request, from, until } = lost
  const mark = (listing.markOf ?? String)(request.ownId)
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
    const isSamePrompt = prompt === null ? null : prompt === request.prompt.trim()
    return [{ taskId, sure: false, isSamePrompt }]
  })
}
