/** Messages for every subject that services hear, from what fits its schema to what does not. */
import fc from 'fast-check'
import { z } from 'zod'
import {
  bidSchema,
  claimRequestSchema,
  claimSubject,
  commandSubject,
  generateCommandSchema,
  handoffSchema,
  nudgeSchema,
  pollWorkSubject,
  reportSchema,
  reportsSubject,
  settleWorkSubject,
  submitWorkSubject,
  videoCommandSchema,
  videoEventSchema,
  workSchema,
} from '#libs/scene-video/messages.ts'
import type { Demo } from '#services/dev/seed.ts'
import { around, raw, type JsonSchema } from './schema-fuzz.ts'

interface Runs {
  seed: number
  /** Made of each schema, beside those that are nothing of ours. */
  each: number
}

const encoder = new TextEncoder()
const bytes = (text: string | Uint8Array) =>
  typeof text === 'string' ? encoder.encode(text) : text

/** Bodies for one subject, the same for the same seed. */
function bodies(
  schema: z.ZodType,
  known: Record<string, string>,
  { seed, each }: Runs,
): Uint8Array[] {
  const json = z.toJSONSchema(schema, { unrepresentable: 'any' }) as JsonSchema
  const made = fc.sample(around(json, known), { seed, numRuns: each })
  return [...raw.map(bytes), ...made.map((value) => bytes(JSON.stringify(value)))].filter(
    (data) => data.length < 1_000_100,
  )
}

const jobSubjects = [
  [submitWorkSubject, workSchema],
  [pollWorkSubject, workSchema],
  [settleWorkSubject, workSchema],
  [reportsSubject, z.array(reportSchema).min(1).max(1000)],
] as const

/** What is published; `real` is a video of ours. */
export function makeMessages(demo: Demo, real: string, runs: Runs) {
  const { userId, projectId, scriptId, sceneIds } = demo
  const made = (schema: z.ZodType, known: Record<string, string> = {}) =>
    bodies(schema, known, runs)
  const own = { userId, projectId, scriptId, sceneId: sceneIds[0]! }
  const requests: [string, z.ZodType, Record<string, string>][] = [
    [commandSubject.generate, generateCommandSchema, own],
    [commandSubject.generate, generateCommandSchema, {}],
    [commandSubject.cancel, videoCommandSchema, { userId, id: real }],
    [commandSubject.retry, videoCommandSchema, { userId, id: real }],
    [commandSubject.retry, videoCommandSchema, {}],
    [claimSubject, claimRequestSchema, {}],
  ]
  return {
    requests: requests.map(([subject, schema, known]): [string, Uint8Array[]] => [
      subject,
      made(schema, known),
    ]),
    planRebalance: made(handoffSchema),
    jobs: jobSubjects.map(([subjectOf, schema]) => ({
      subjectOf,
      schema,
      all: made(schema),
    })),
    nudges: made(nudgeSchema, { id: real }),
    others: made(bidSchema),
    events: made(videoEventSchema),
  }
}

export type Messages = ReturnType<typeof makeMessages>
