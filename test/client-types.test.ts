/**
 * libs/client repeats types by hand, so that a browser needs no schema library. Here they cannot
 * drift from the schemas.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { expect, expectTypeOf, it } from 'vitest'
import type {
  GenerateVideo as ValidatedGenerateVideo,
  SceneVideo as RecordedSceneVideo,
} from '#libs/scene-video/scene-video.ts'
import { errorCodes, phases, statuses } from '#libs/scene-video/scene-video.ts'
import type {
  GenerateVideo,
  Page,
  Phase,
  Project,
  SceneVideo,
  Status,
  TimelineEntry,
  VideoErrorCode,
} from '#libs/client/src/client.ts'
import type { ProjectAggregate, TimelineEntry as StoredTimelineEntry } from '#libs/store/reader.ts'

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
