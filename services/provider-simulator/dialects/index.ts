/** Every provider that is simulated, by the path prefix it is served under. */
import type { SimulatedProvider } from '../dialect.ts'
import { ark } from './ark.ts'
import { dashscope } from './dashscope.ts'
import { gemini, vertex } from './google.ts'
import { kie } from './kie.ts'
import { kling } from './kling.ts'
import { klingV1 } from './kling-v1.ts'
import { openaiVideos } from './openai-videos.ts'
import { fal } from './fal.ts'
import { luma, lumaDreamMachine } from './luma.ts'
import { minimax, minimaxHailuo } from './minimax.ts'
import { openrouter } from './openrouter.ts'
import { replicate } from './replicate.ts'
import { runway } from './runway.ts'
import { tencentVod } from './tencent-vod.ts'
import { vercel } from './vercel.ts'
import { vidu } from './vidu.ts'
import { xai } from './xai.ts'
import { toapis } from './toapis.ts'

export const dialects: ReadonlyMap<string, SimulatedProvider> = new Map(
  [
    toapis,
    ark,
    dashscope,
    kling,
    klingV1,
    openaiVideos,
    fal,
    luma,
    lumaDreamMachine,
    minimax,
    minimaxHailuo,
    openrouter,
    replicate,
    runway,
    vercel,
    vidu,
    tencentVod,
    vertex,
    gemini,
    xai,
    kie,
  ].map((one) => [one.name, one]),
)
