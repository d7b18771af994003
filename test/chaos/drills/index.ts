import type { Drill } from '../drill.ts'
import { crashPointsDrill } from './crash-points.ts'
import { frozen } from './frozen.ts'

export const drills: Record<string, Drill> = { 'crash-points': crashPointsDrill, frozen }
