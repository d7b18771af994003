/** The AI configuration of projects that have one of their own. */
import type { EffectiveConfig } from '#libs/store/submissions.ts'

export class MemoryConfigs {
  readonly configs = new Map<string, EffectiveConfig>()

  async effectiveConfig(
    _userId: string,
    projectId: string | null,
  ): Promise<EffectiveConfig | null> {
    return this.configs.get(projectId ?? '') ?? null
  }
}
