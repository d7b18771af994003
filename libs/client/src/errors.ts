/** Everything the client throws, other than the reason of an aborted signal. */
export class ReelkeeperError extends Error {
  override readonly name = 'ReelkeeperError'
  /**
   * Stable: the gateway's own, or `unreachable`, `timeout`, `unexpected_answer` where no answer of
   * it came.
   */
  readonly code: string
  /** Of the HTTP answer; 0 where none came. */
  readonly status: number
  /** What is wrong with which field of the request. */
  readonly errors: { pointer: string; detail: string }[]
  /** How long the gateway asked to wait. */
  readonly retryAfterMs: number | undefined

  constructor(
    code: string,
    status: number,
    message: string,
    more: {
      errors?: { pointer: string; detail: string }[] | undefined
      retryAfterMs?: number | undefined
      cause?: unknown
    } = {},
  ) {
    super(message, { cause: more.cause })
    this.code = code
    this.status = status
    this.errors = more.errors ?? []
    this.retryAfterMs = more.retryAfterMs
  }

  /** The same request may succeed later. */
  get isPassing(): boolean {
    const isFirstStillRunning = this.status === 409 && this.code.startsWith('idempotency')
    return (
      this.status === 0 ||
      this.status === 408 ||
      this.status === 429 ||
      this.status >= 500 ||
      isFirstStillRunning
    )
  }

  /** The gateway itself, not something between, refused: asking again changes nothing. */
  get isFinal(): boolean {
    return this.code !== 'unexpected_answer' && !this.isPassing
  }
}

const longestWaitMs = 60_000

export async function errorOf(response: Response): Promise<ReelkeeperError> {
  const seconds = Number(response.headers.get('retry-after') ?? Number.NaN)
  const retryAfterMs = seconds >= 0 ? Math.min(seconds * 1000, longestWaitMs) : undefined
  const text = await response.text().catch(() => '')
  if (response.headers.get('content-type')?.includes('application/problem+json')) {
    const { code, detail, errors } = JSON.parse(text) as {
      code: string
      detail: string
      errors?: { pointer: string; detail: string }[]
    }
    return new ReelkeeperError(code, response.status, detail, { errors, retryAfterMs })
  }
  return new ReelkeeperError(
    'unexpected_answer',
    response.status,
    `HTTP ${response.status}, not from the gateway: ${text.slice(0, 200)}`,
    { retryAfterMs },
  )
}
