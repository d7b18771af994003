import type { Drill } from '../drill.ts'
import { linksDie } from './links-die.ts'
import { natsAway, postgresAway } from './away.ts'
import { crashPointsDrill } from './crash-points.ts'
import { diskFull } from './disk-full.ts'
import { filesAway } from './files-away.ts'
import { frozen } from './frozen.ts'
import { ownership } from './ownership.ts'
import { postgresRestored } from './postgres-restored.ts'
import { powerFailure } from './power-failure.ts'
import { short } from './short.ts'
import { storeLost } from './store-lost.ts'
import { tenants } from './tenants.ts'

export const drills: Record<string, Drill> = {
  'links-die': linksDie,
  'crash-points': crashPointsDrill,
  'disk-full': diskFull,
  'files-away': filesAway,
  frozen,
  'nats-away': natsAway,
  ownership,
  'power-failure': powerFailure,
  'postgres-away': postgresAway,
  'postgres-restored': postgresRestored,
  short,
  'store-lost': storeLost,
  tenants,
}
