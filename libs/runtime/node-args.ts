/**
 * Arguments of Node for one service, for whatever starts it; compose and the manifests say the
 * same.
 *
 * archiver: a file passes through memory in pieces that are garbage at once, and a small young
 * generation gives them back soon.
 */
export const ownNodeArgsOf = (service: string): string[] =>
  /^archiver(-\d+)?$/.test(service) ? ['--max-semi-space-size=1'] : []

export const nodeArgsOf = (service: string): string[] => [
  '--disable-warning=ExperimentalWarning',
  ...ownNodeArgsOf(service),
]
