/**
 * Asks the provider for a task that cannot exist. Its own "no such task" proves address and key,
 * and costs nothing.
 */
import type { AiConfigTest } from '#libs/scene-video/ai-config.ts'
import type { SubmitContext } from './context.ts'

export async function testConfig(
  context: SubmitContext,
  { userId, projectId }: { userId: string; projectId: string | null },
): Promise<AiConfigTest> {
  const own = await context.store.effectiveConfig(userId, projectId)
  const source = own?.source ?? 'system'
  const { systemAccounts, accounts, providers } = context
  const name = own?.provider ?? systemAccounts.defaults.provider
  const pins = systemAccounts.pins(name, own)
  const account = pins && accounts.open(pins)
  const provider = providers.of(name)
  if (!account || !provider)
    return { ok: false, code: 'no_answer', detail: `There is no account at ${name}.`, source }
  const { answer } = await provider.get(account, `reelkeeper-test-${context.clock.uuid()}`)
  switch (answer.kind) {
    case 'missing':
      return { ok: true, code: 'ok', detail: 'The provider accepts address and key.', source }
    case 'later':
      return {
        ok: false,
        code: 'throttled',
        detail: 'The provider asks to wait; try again shortly.',
        source,
      }
    case 'none':
      // the reason would tell what is behind addresses that others cannot reach
      context.log.info({ userId, projectId, reason: answer.reason }, 'No answer to a test')
      return {
        ok: false,
        code: 'no_answer',
        detail: 'No usable answer. Check address and key.',
        source,
      }
    default:
      return {
        ok: false,
        code: 'unexpected',
        detail:
          'The answer is not the provider’s word for a task that does not exist. Check the address.',
        source,
      }
  }
}
