/**
 * libs/client repeats types by hand, so that a browser needs no schema library. Here they cannot
 * drift from the schemas.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { expect, expectTypeOf, it } from 'vitest'
import { z } from 'zod'
import type {
  GenerateVideo as ValidatedGenerateVideo,
  SceneVideo as RecordedSceneVideo,
} from '#libs/scene-video/scene-video.ts'
import { errorCodes, phases, statuses } from '#libs/scene-video/scene-video.ts'
import type {
  GenerateVideo,
  ListFilter,
  Page,
  Phase,
  Project,
  SceneVideo,
  Status,
  TimelineEntry,
  VideoErrorCode,
} from '#libs/client/src/client.ts'
import type * as R from '#libs/client/src/resource-types.ts'
import {
  aiConfigBodySchema,
  aiConfigSchema,
  aiConfigTestSchema,
} from '#libs/scene-video/ai-config.ts'
import type { userScopes } from '#libs/store/api-key.ts'
import type { ProjectAggregate } from '#libs/store/project-aggregate.ts'
import type { TimelineEntry as StoredTimelineEntry } from '#libs/store/reader.ts'
import { keySchema, newKeySchema } from '#services/gateway/api-key-schemas.ts'
import { bulkActionSchema } from '#services/gateway/bulk.ts'
import { projectSchema, sceneSchema, scriptSchema } from '#services/gateway/library-kinds.ts'
import { modelSchema } from '#services/gateway/models.ts'
import { countsSchema } from '#services/gateway/routes/count-videos.ts'
import { bulkActionBody } from '#services/gateway/routes/create-bulk-action.ts'
import { streamTokenBody, streamTokenSchema } from '#services/gateway/routes/create-stream-token.ts'
import {
  generatedSchema,
  generateVideosBody,
} from '#services/gateway/routes/generate-script-videos.ts'
import { resultSchema } from '#services/gateway/routes/get-bulk-results.ts'
import { limitsAnswer } from '#services/gateway/routes/get-limits.ts'
import { meSchema } from '#services/gateway/routes/get-me.ts'
import { submissionsSchema } from '#services/gateway/routes/get-submissions.ts'
import { retriedSchema, retryFailedBody } from '#services/gateway/routes/retry-failed.ts'
import { statsQuery, statsSchema } from '#services/gateway/stats.ts'
import { videoFilterQuery } from '#services/gateway/schemas.ts'

it('has the types that the schemas infer, as `npm run types` checks', () => {
  expectTypeOf<SceneVideo>().toEqualTypeOf<RecordedSceneVideo>()
  expectTypeOf<GenerateVideo>().toEqualTypeOf<ValidatedGenerateVideo>()
  expectTypeOf<Status>().toEqualTypeOf<(typeof statuses)[number]>()
  expectTypeOf<Phase>().toEqualTypeOf<(typeof phases)[number]>()
  expectTypeOf<VideoErrorCode>().toEqualTypeOf<(typeof errorCodes)[number]>()
  expectTypeOf<TimelineEntry>().toEqualTypeOf<StoredTimelineEntry>()
  expectTypeOf<Project>().toEqualTypeOf<ProjectAggregate>()
  expectTypeOf<Page['data']>().toEqualTypeOf<RecordedSceneVideo[]>()
})

/** Optional ones may be undefined, too. */
type Loose<T> = { [K in keyof T]: T[K] }

it('has the types of every other answer, too', () => {
  expectTypeOf<R.ProjectRecord>().toEqualTypeOf<z.output<typeof projectSchema>>()
  expectTypeOf<Loose<R.Script>>().toEqualTypeOf<z.output<typeof scriptSchema>>()
  expectTypeOf<R.Scene>().toEqualTypeOf<z.output<typeof sceneSchema>>()
  expectTypeOf<R.GeneratedVideos>().toEqualTypeOf<z.output<typeof generatedSchema>>()
  expectTypeOf<R.RetriedVideos>().toEqualTypeOf<z.output<typeof retriedSchema>>()
  expectTypeOf<R.AiConfig>().toEqualTypeOf<z.output<typeof aiConfigSchema>>()
  expectTypeOf<R.AiConfigTest>().toEqualTypeOf<z.output<typeof aiConfigTestSchema>>()
  expectTypeOf<R.ApiKey>().toEqualTypeOf<z.output<typeof keySchema>>()
  expectTypeOf<Loose<R.NewApiKey>>().toEqualTypeOf<z.output<typeof newKeySchema>>()
  expectTypeOf<R.Me>().toEqualTypeOf<z.output<typeof meSchema>>()
  expectTypeOf<R.StreamToken>().toEqualTypeOf<z.output<typeof streamTokenSchema>>()
  expectTypeOf<R.Limits>().toEqualTypeOf<z.output<typeof limitsAnswer>>()
  expectTypeOf<R.Model>().toEqualTypeOf<z.output<typeof modelSchema>>()
  expectTypeOf<Loose<R.VideoCounts>>().toEqualTypeOf<z.output<typeof countsSchema>>()
  expectTypeOf<R.Stats>().toEqualTypeOf<z.output<typeof statsSchema>>()
  expectTypeOf<R.Submission[]>().toEqualTypeOf<z.output<typeof submissionsSchema>['data']>()
  expectTypeOf<R.BulkAction>().toEqualTypeOf<z.output<typeof bulkActionSchema>>()
  expectTypeOf<R.BulkResult>().toEqualTypeOf<z.output<typeof resultSchema>>()
  expectTypeOf<R.Scope>().toEqualTypeOf<(typeof userScopes)[number]>()
})

it('has what may be asked with', () => {
  expectTypeOf<R.RetryFailed>().toEqualTypeOf<z.input<typeof retryFailedBody>>()
  expectTypeOf<Loose<R.GenerateVideos>>().toEqualTypeOf<z.input<typeof generateVideosBody>>()
  expectTypeOf<R.StreamTokenScope>().toEqualTypeOf<NonNullable<z.input<typeof streamTokenBody>>>()
  expectTypeOf<R.StatsQuery>().toEqualTypeOf<z.input<typeof statsQuery>>()
  expectTypeOf<z.output<typeof aiConfigBodySchema>>().toExtend<R.NewAiConfig>()
  expectTypeOf<R.NewBulkAction>().toExtend<z.input<typeof bulkActionBody>>()
  // queries are read as text, so their names are compared
  type Filters = keyof typeof videoFilterQuery | 'metadata'
  expectTypeOf<keyof R.BulkFilter>().toEqualTypeOf<Filters>()
  expectTypeOf<keyof ListFilter>().toEqualTypeOf<Filters | 'order'>()
})

it('imports nothing but itself, and React in the hook', () => {
  const imports = readdirSync('libs/client/src')
    .filter((name) => name.endsWith('.ts') && !name.endsWith('.test.ts'))
    .flatMap((name) =>
      [
        ...readFileSync(`libs/client/src/${name}`, 'utf8').matchAll(
          /(?:from|import)\s*\(?\s*'([^']+)'/g,
        ),
      ].map((match) => `${name}: ${match[1]}`),
    )
  expect(imports.length).toBeGreaterThan(5)
  expect(imports.filter((line) => !/: \.\/[\w-]+\.ts$/.test(line))).toEqual([
    'http.ts: eventsource-parser',
    'react.ts: react',
  ])
})
