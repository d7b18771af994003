/**
 * The archiver over its ports: how a file is fetched, how its event is told, and what wakes it. An
 * event that cannot be published stays owed, and status publishes it.
 */
import type { Bus } from '#libs/bus/bus.ts'
import { publishEvents, type OutboxStore } from '#libs/outbox/outbox.ts'
import { eventSubject } from '#libs/scene-video/messages.ts'
import type { ClaimedFile } from '#libs/store/file-records.ts'
import { Archiver, type ArchiverParts } from './archiver.ts'
import { download, type DownloadOptions } from './download.ts'
import { Links, type LinkParts } from './links.ts'

export interface RunArchiverParts
  extends
    Omit<ArchiverParts, 'fetch' | 'publish'>,
    Pick<LinkParts, 'providers' | 'accounts'>,
    Pick<DownloadOptions, 'maxBytes' | 'stallMs'> {
  /** What connects to a link of that file, or to where it leads. */
  dispatcherFor(url: URL, file: ClaimedFile): ReturnType<DownloadOptions['dispatcherFor']>
  bus: Bus
  outbox: OutboxStore
}

export function runArchiver(parts: RunArchiverParts): Archiver {
  const { bus, outbox, log, maxBytes, stallMs } = parts
  const links = new Links(parts)
  const archiver = new Archiver({
    ...parts,
    async *fetch(file, signal) {
      const headers = await links.open(file)
      const dispatcherFor = (url: URL) => parts.dispatcherFor(url, file)
      yield* download(file.url, { headers, dispatcherFor, maxBytes, stallMs, signal })
    },
    publish: (event) =>
      publishEvents(bus, outbox, [event]).then(
        () => {},
        (err: unknown) => log.warn({ err, video: event.body.id }, 'event stays owed'),
      ),
  })
  bus.subscribe(eventSubject('completed'), null, () => archiver.wake())
  return archiver
}
