/**
 * The version of what our processes tell each other, in each message as `v`. A newer process may
 * say what an older one cannot read: that message is left to a newer one instead of being buried.
 */

/** Raised with a change that the version before cannot read; without it, fields are only added. */
export const messageVersion = 1

/** For about ten minutes a message is left to newer processes: a deploy has come so far by then. */
export const leftAgainMs = 10_000
export const leftAtMost = 60

export const versioned = (body: unknown): string =>
  JSON.stringify({ v: messageVersion, ...(body as object) })

export const isNewer = (body: unknown): boolean =>
  typeof body === 'object' && body !== null && Number((body as { v?: unknown }).v) > messageVersion
