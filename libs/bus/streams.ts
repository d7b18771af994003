/** The names of the streams; topology.ts says what each holds. */
export const ownershipBucket = 'OWNERSHIP'
export const streams = {
  video: 'VIDEO',
  outbox: 'OUTBOX',
  work: 'WORK',
  reports: 'REPORTS',
  dead: 'DEAD',
  ownership: `KV_${ownershipBucket}`,
} as const
