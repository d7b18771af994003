/** Every provider that is simulated, by the path prefix it is served under. */
import type { SimulatedProvider } from '../dialect.ts'
import { ark } from './ark.ts'
import { kling } from './kling.ts'
import { openaiVideos } from './openai-videos.ts'
import { toapis } from './toapis.ts'

export const dialects: ReadonlyMap<string, SimulatedProvider> = new Map(
  [toapis, ark, kling, openaiVideos].map((one) => [one.name, one]),
)
