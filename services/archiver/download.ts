/**
 * Fetches a provider's file as a stream. A connection that breaks, or says nothing for a while, is
 * made again where it stopped, if the server can do that; the bytes are then those of one and the
 * same version of the file (If-Range), or it begins anew.
 *
 * Each hop of a redirect is connected to through the guard that `dispatcherFor` gives; what belongs
 * to one origin only (a key) is not sent to another, nor in plain text to the same host.
 */
import type { Dispatcher } from 'undici'
import { get, type Body, type Got } from './get.ts'
import { isPacked, unpacked } from './unpacked.ts'

/** Why a file could not be fetched, and what that says of the next try. */
export class DownloadFailed extends Error {
  override name = 'DownloadFailed'
  /**
   * `gone`: the link is dead, or leads where nothing is to be had; a name that resolves to a wrong
   * address, or a CDN that redirects to nonsense, may be mended while the link lives. `never`: no
   * other try will be better. `later`: anything else.
   */
  readonly kind: 'gone' | 'never' | 'later'
  readonly retryAfterMs: number | null
  constructor(
    kind: 'gone' | 'never' | 'later',
    message: string,
    retryAfterMs: number | null = null,
  ) {
    super(message)
    this.kind = kind
    this.retryAfterMs = retryAfterMs
  }
}

export interface DownloadOptions {
  /** The guarded way to a host. */
  dispatcherFor(url: URL): Pick<Dispatcher, 'dispatch'>
  /** Headers for the first origin only, such as a key that its links need. */
  headers?: Record<string, string>
  maxBytes: number
  /** Silence for this long breaks a connection. */
  stallMs: number
  signal: AbortSignal
}

const maxRedirects = 5
/** Connections made for one download. */
const maxConnections = 20
const redirects = new Set([301, 302, 303, 307, 308])
const gone = new Set([401, 403, 404, 410])

interface Answer {
  body: Body
  /** Of the whole file; null where the server does not tell. */
  length: number | null
  /** What tells this version of the file from another; null where it cannot be resumed. */
  validator: string | null
}

/** The bytes of the file. @throws DownloadFailed, or the signal's reason */
export async function* download(link: string, options: DownloadOptions): AsyncGenerator<Buffer> {
  let done = 0
  let length: number | null = null
  let validator: string | null = null
  for (let connections = 1; ; connections++) {
    const answer = await open(
      link,
      options,
      done > 0 ? { from: done, validator: validator!, length } : null,
    )
    length ??= answer.length
    validator ??= answer.validator
    if (length !== null && length > options.maxBytes) throw tooLarge(answer, options)
    try {
      for await (const chunk of answer.body) {
        done += chunk.length
        if (done > options.maxBytes) throw tooLarge(answer, options)
        yield chunk
      }
      if (length === null || done === length) return
      if (done > length)
        throw new DownloadFailed('later', `${done} bytes came, ${length} were announced`)
    } catch (err) {
      options.signal.throwIfAborted()
      if (err instanceof DownloadFailed) throw err
      if (validator === null || connections === maxConnections)
        throw new DownloadFailed('later', `broke off after ${done} bytes: ${codeOf(err)}`)
      continue
    }
    if (validator === null || connections === maxConnections)
      throw new DownloadFailed('later', `ended after ${done} of ${length} bytes`)
  }
}

async function open(
  link: string,
  options: DownloadOptions,
  resume: Resume | null,
): Promise<Answer> {
  const first = new URL(link)
  let url = first
  for (let hops = 0; hops <= maxRedirects; hops++) {
    if (!['http:', 'https:'].includes(url.protocol))
      throw new DownloadFailed(
        'gone',
        `leads to ${url.protocol.slice(0, 20)}, not to http or https`,
      )
    // rule: a key is dropped on another host
    const { statusCode, headers, body } = await ask(
      url,
      url.origin === first.origin,
      options,
      resume,
    )
    if (statusCode === (resume ? 206 : 200)) return toAnswer(headers, body, resume)
    body.cancel()
    const location = one(headers['location'])
    if (!redirects.has(statusCode) || !location)
      throw refused(statusCode, one(headers['retry-after']))
    const next = URL.parse(location, url.href)
    if (!next) throw new DownloadFailed('later', 'redirected to what is no address')
    url = next
  }
  throw new DownloadFailed('later', `redirected more than ${maxRedirects} times`)
}

async function ask(
  url: URL,
  isFirst: boolean,
  { dispatcherFor, headers, stallMs, signal }: DownloadOptions,
  resume: Resume | null,
): Promise<Got> {
  try {
    return await get(url, {
      dispatcher: dispatcherFor(url),
      headers: {
        'user-agent': 'reelkeeper-archiver',
        'accept-encoding': 'identity',
        ...(isFirst ? headers : {}),
        ...(resume ? { range: `bytes=${resume.from}-`, 'if-range': resume.validator } : {}),
      },
      stallMs,
      signal,
    })
  } catch (err) {
    signal.throwIfAborted()
    if (codeOf(err) === 'ERR_IP_BLOCKED')
      throw new DownloadFailed('gone', 'its address leads into a private network')
    throw new DownloadFailed('later', `no answer: ${codeOf(err)}`)
  }
}

/** A part of what was to be resumed, and of which version that was. */
interface Resume {
  from: number
  validator: string
  length: number | null
}

/** Whether a part says that it is of another version: a server may not heed If-Range. */
function isOther(headers: Got['headers'], { validator, length }: Resume): boolean {
  const told = one(headers[validator.startsWith('"') ? 'etag' : 'last-modified'])
  const [, whole] = /\/(\d+)$/.exec(one(headers['content-range']) ?? '') ?? []
  if (whole !== undefined && length !== null && Number(whole) !== length) return true
  return told !== undefined && told !== validator
}

const changed = () => new DownloadFailed('later', 'the file changed while it was fetched')

function toAnswer(headers: Got['headers'], body: Body, resume: Resume | null): Answer {
  const encoding = one(headers['content-encoding'])
  // it is not resumed, and its length is that of the packing
  if (!resume && isPacked(encoding))
    return { body: unpacked(body, encoding), length: null, validator: null }
  if (resume && isPacked(encoding)) {
    body.cancel()
    throw new DownloadFailed('later', 'a part of it was sent packed')
  }
  if (resume && !one(headers['content-range'])?.startsWith(`bytes ${resume.from}-`)) {
    body.cancel()
    throw new DownloadFailed('later', 'resumed at another place than asked for')
  }
  // rule: two versions of a file are not put together
  if (resume && isOther(headers, resume)) {
    body.cancel()
    throw changed()
  }
  const said = resume ? Number.NaN : Number(one(headers['content-length']) ?? Number.NaN)
  const etag = one(headers['etag'])
  const canResume = one(headers['accept-ranges']) === 'bytes' || resume !== null
  const validator = etag && !etag.startsWith('W/') ? etag : (one(headers['last-modified']) ?? null)
  return {
    body,
    length: Number.isSafeInteger(said) ? said : null,
    validator: canResume ? validator : null,
  }
}

function refused(status: number, retryAfter: string | undefined): DownloadFailed {
  const seconds = Number(retryAfter)
  const waitMs = retryAfter && seconds >= 0 ? Math.min(seconds, 3_600) * 1_000 : null
  if (status === 200) return changed()
  return new DownloadFailed(
    gone.has(status) ? 'gone' : 'later',
    `its link answered ${status}`,
    waitMs,
  )
}

function tooLarge({ body }: Answer, { maxBytes }: DownloadOptions): DownloadFailed {
  body.cancel()
  return new DownloadFailed('never', `larger than the limit of ${maxBytes} bytes`)
}

const one = (value: string | string[] | undefined) => (Array.isArray(value) ? value[0] : value)
const codeOf = (err: unknown) => (err as { code?: string }).code ?? (err as Error).name
