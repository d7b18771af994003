/**
 * Accounts as their dialects see them: credentials by name, and the token that a login gave. One
 * login at a time for an account; one that fails is tried again by the next request, which was then
 * not sent.
 */
import type { CredentialPart } from '../credentials.ts'
import { secretsOf, splitCredentials } from '../credentials.ts'
import type { Account } from '../provider.ts'
import type { Dialect, OpenAccount } from './dialect.ts'
import { firstText, parseJson } from './fields.ts'
import type { Sent } from './exchange.ts'
import type { Edge } from './send.ts'

interface Token {
  text: string
  /** It, and what it was asked for with. */
  secrets: readonly string[]
  untilSeconds: number
}
/** A token is asked for anew so long before its end. */
const aheadSeconds = 60
const mostTokens = 10_000

export type Opened = { account: OpenAccount; secrets: string[] } | { failed: Sent }

export class OpenAccounts {
  readonly #dialect: Dialect
  readonly #parts: readonly CredentialPart[]
  readonly #edge: Edge
  readonly #nowSeconds: () => number
  readonly #opened = new WeakMap<Account, { account: OpenAccount; secrets: string[] }>()
  readonly #tokens = new Map<string, Token>()
  readonly #logins = new Map<string, Promise<Token | Sent>>()

  constructor(
    dialect: Dialect,
    parts: readonly CredentialPart[],
    edge: Edge,
    nowSeconds: () => number,
  ) {
    this.#dialect = dialect
    this.#parts = parts
    this.#edge = edge
    this.#nowSeconds = nowSeconds
  }

  async open(account: Account, timeoutMs: number): Promise<Opened> {
    const opened = this.#open(account)
    if (!this.#dialect.login) return opened
    const token = await this.#token(opened.account, opened.secrets, timeoutMs)
    if ('kind' in token) return { failed: token }
    return {
      account: { ...opened.account, token: token.text },
      secrets: [...opened.secrets, ...token.secrets],
    }
  }

  #open(account: Account): { account: OpenAccount; secrets: string[] } {
    const known = this.#opened.get(account)
    if (known) return known
    const credentials = splitCredentials(this.#parts, account.apiKey)
    const opened = {
      account: { ...account, credentials, token: null },
      secrets: secretsOf(this.#parts, credentials),
    }
    this.#opened.set(account, opened)
    return opened
  }

  async #token(account: OpenAccount, secrets: string[], timeoutMs: number): Promise<Token | Sent> {
    const key = `${account.baseUrl}\n${account.apiKey}`
    const known = this.#tokens.get(key)
    if (known && known.untilSeconds - aheadSeconds > this.#nowSeconds()) return known
    const under = this.#logins.get(key)
    if (under) return under
    const login = this.#login(account, secrets, timeoutMs)
    this.#logins.set(key, login)
    const token = await login
    this.#logins.delete(key)
    if ('kind' in token) return token
    if (this.#tokens.size >= mostTokens) this.#tokens.clear()
    this.#tokens.set(key, token)
    return token
  }

  async #login(account: OpenAccount, secrets: string[], timeoutMs: number): Promise<Token | Sent> {
    const login = this.#dialect.login!
    const now = this.#nowSeconds()
    const request = signed(() => login.ask(account, now))
    if (request === null) return keyUnusable
    const { baseUrl = account.baseUrl, method = 'POST', path, body, headers } = request
    const { secrets: shown = [] } = request
    const sent = await this.#edge.send({
      method,
      baseUrl,
      path,
      body: typeof body === 'string' ? body : JSON.stringify(body),
      headers: headers ?? {},
      timeoutMs,
      secrets: [...secrets, ...shown],
    })
    if (sent.kind !== 'answered') return asNotSent(sent.reason)
    const json = parseJson(sent.text)
    const text = firstText(json, login.token)
    if (sent.status >= 200 && sent.status < 300 && text !== null) {
      const life = Number(firstText(json, login.lifeSeconds) ?? 300)
      return { text, secrets: [text, ...shown], untilSeconds: now + (life > 0 ? life : 300) }
    }
    // a key that is refused is what the provider itself would have said
    return sent.status === 401 || sent.status === 400
      ? { ...sent, status: 401 }
      : asNotSent(`no token for it, HTTP ${sent.status}`)
  }
}

/** Null where the credentials are of no form that can sign. */
function signed<T>(ask: () => T): T | null {
  try {
    return ask()
  } catch {
    return null
  }
}

/** As the provider itself would refuse a key. */
const keyUnusable: Sent = {
  kind: 'answered',
  status: 401,
  headers: {},
  text: 'The credentials are of no form that can sign a request.',
}

/** Whatever became of a login: the request that it was for was not sent. */
const asNotSent = (reason: string): Sent => ({ kind: 'not_sent', reason, isFinal: false })
