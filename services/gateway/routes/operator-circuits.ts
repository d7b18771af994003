import { z } from 'zod'
import { actorSchema, storable } from '#libs/scene-video/scene-video.ts'
import { circuitActs } from '#libs/store/provider-accounts.ts'
import type { Route } from '../context.ts'
import { actorOf } from '../identity.ts'
import { operatorAccess } from '../operator-schemas.ts'
import { notFound } from '../problem.ts'

const instant = z.iso.datetime().nullable()
const circuitSchema = z
  .object({
    provider: z.string(),
    accountId: z.string().describe('Tells one account from another; nothing of its key is in it'),
    host: z.string(),
    state: z
      .enum(['closed', 'open', 'half_open'])
      .describe('`open`: creates wait; `half_open`: the next one is tried'),
    held: z
      .enum(['open', 'closed'])
      .nullable()
      .describe('By an operator, until it is reset; null: it opens and closes by itself'),
    reason: z.string().nullable(),
    openings: z.number().int().min(0).describe('In a row'),
    openedAt: instant,
    nextTryAt: instant,
    acts: z
      .array(
        z.object({
          at: z.iso.datetime(),
          act: z.enum(circuitActs),
          reason: z.string().nullable(),
          by: actorSchema,
        }),
      )
      .describe('What operators did to it, the newest first'),
  })
  .meta({ id: 'Circuit' })

const circuitsSchema = z
  .object({
    data: z
      .array(
        z.object({
          provider: z.string(),
          reason: z.string(),
          videos: z.number().int().min(0),
          nextTryAt: instant,
        }),
      )
      .describe('Why pending videos wait, by provider and reason'),
    circuits: z
      .array(circuitSchema)
      .describe('Of each account that creates were sent to; those that are open or held first'),
  })
  .meta({ id: 'Circuits' })

const summaries = {
  open: 'Have the creates of an account wait until its circuit is reset',
  close: 'Let creates go to an account however they fail, until its circuit is reset',
  reset: 'Close the circuit of an account, and let it open and close by itself',
}

export const operatorCircuits: Route = (app, { operator, providerAccounts }) => {
  app.get(
    '/api/operator/circuits',
    {
      ...operatorAccess,
      schema: {
        operationId: 'operatorCircuits',
        tags: ['operator'],
        summary: 'Why pending videos wait, and the circuit of each account',
        response: { 200: circuitsSchema },
      },
    },
    async () => ({ data: await operator.circuits(), circuits: await providerAccounts.list() }),
  )
  for (const act of circuitActs)
    app.post(
      `/api/operator/circuits/:provider/:accountId/${act}`,
      {
        ...operatorAccess,
        schema: {
          operationId: `operatorCircuit${act[0]!.toUpperCase()}${act.slice(1)}`,
          tags: ['operator'],
          summary: summaries[act],
          params: z.object({ provider: z.string().max(100), accountId: z.string().max(100) }),
          body: z.strictObject({ reason: storable.trim().min(1).max(500).nullish() }).nullish(),
          response: { 200: circuitSchema },
          'x-problems': [404],
        },
      },
      async ({ identity, params, body, log }) => {
        const by = actorOf(identity)
        const reason = body?.reason ?? null
        const changed = await providerAccounts.act(params, { act, reason, by })
        if (!changed) throw notFound('There is no such account.')
        log.warn({ ...params, act, reason, by }, 'circuit changed by an operator')
        return changed
      },
    )
}
