/** The parts, in the order in which they run. */
import type { Part } from '../lib/part.ts'
import { adaptivePart } from './adaptive.ts'
import { filesPart } from './files.ts'
import { growthPart } from './growth.ts'
import { idlePart } from './idle.ts'
import { limitEventsPart } from './limit-events.ts'
import { limitPollerPart } from './limit-poller.ts'
import { limitStatusPart } from './limit-status.ts'
import { listsPart } from './lists.ts'
import { pollersPart } from './pollers.ts'
import { fewChangesPart, sameWorkPart } from './same-work.ts'
import { slowPostgresPart } from './slow-postgres.ts'
import { soakPart } from './soak.ts'
import { submitPart } from './submit.ts'
import { takeoverPart } from './takeover.ts'

export const parts: Part[] = [
  sameWorkPart,
  fewChangesPart,
  limitPollerPart,
  limitStatusPart,
  limitEventsPart,
  submitPart,
  growthPart,
  pollersPart,
  takeoverPart,
  adaptivePart,
  slowPostgresPart,
  listsPart,
  filesPart,
  idlePart,
  soakPart,
]
