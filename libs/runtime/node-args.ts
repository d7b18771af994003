/**
 * What Node and the C library are told of memory for one service, for whatever starts it; compose
 * and the manifests say the same.
 *
 * archiver: what a file leaves in the heap is garbage at once. A young generation of 4 MB keeps
 * most of it until it is, and below a limit of 512 MB the old generation is collected before it has
 * doubled. Pieces of files come and go by thousands a second: each is a mapping of its own, so that
 * small things between them keep no memory of theirs.
 */
const isArchiver = (service: string) => /^archiver(-\d+)?$/.test(service)

export const ownNodeArgsOf = (service: string): string[] =>
  isArchiver(service) ? ['--max-semi-space-size=4', '--max-old-space-size=512'] : []

/** Of glibc; others do not know them. */
export const ownEnvOf = (service: string): Record<string, string> =>
  isArchiver(service) ? { MALLOC_ARENA_MAX: '1', MALLOC_MMAP_THRESHOLD_: '65536' } : {}

export const nodeArgsOf = (service: string): string[] => [
  '--disable-warning=ExperimentalWarning',
  ...ownNodeArgsOf(service),
]
