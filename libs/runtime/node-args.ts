/**
 * Arguments of Node for one service, for whatever starts it; compose and the manifests say the
 * same.
 *
 * archiver: what a file leaves in the heap is garbage at once. A young generation of 4 MB keeps it
 * until it is; of 1 MB much of it would grow old, and of 16 MB there is only more of it.
 */
export const ownNodeArgsOf = (service: string): string[] =>
  /^archiver(-\d+)?$/.test(service) ? ['--max-semi-space-size=4'] : []

export const nodeArgsOf = (service: string): string[] => [
  '--disable-warning=ExperimentalWarning',
  ...ownNodeArgsOf(service),
]
