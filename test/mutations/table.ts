/** Every rule that keeps a law, by area. */
import type { Mutation } from './mutation.ts'
import { accounts } from './table/accounts.ts'
import { callbacks } from './table/callbacks.ts'
import { events } from './table/events.ts'
import { files } from './table/files.ts'
import { gateway } from './table/gateway.ts'
import { money } from './table/money.ts'
import { ownership } from './table/ownership.ts'
import { polling } from './table/polling.ts'
import { providers } from './table/providers.ts'
import { recovery } from './table/recovery.ts'
import { reports } from './table/reports.ts'
import { submission } from './table/submission.ts'

export const mutations: Mutation[] = [
  ...providers,
  ...polling,
  ...reports,
  ...events,
  ...ownership,
  ...submission,
  ...accounts,
  ...callbacks,
  ...recovery,
  ...files,
  ...gateway,
  ...money,
]
