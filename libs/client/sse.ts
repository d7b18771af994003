/**
 * Server-sent events from bytes. A message that the end of the stream cuts off is dropped, as the
 * standard says.
 */

export interface Message {
  /** The last id the stream gave, '' before the first. */
  id: string
  event: string
  data: string
}

export class SseParser {
  readonly #decoder = new TextDecoder()
  #rest = ''
  #id = ''
  #event = ''
  #data: string[] = []

  /** The messages that these bytes complete. */
  push(bytes: Uint8Array): Message[] {
    const text = this.#rest + this.#decoder.decode(bytes, { stream: true })
    const whole = /^[\s\S]*(?:\n|\r(?!$))/.exec(text)?.[0] ?? ''
    this.#rest = text.slice(whole.length)
    return whole
      .split(/\r\n|\n|\r/)
      .slice(0, -1)
      .flatMap((line) => this.#line(line))
  }

  #line(line: string): Message[] {
    if (line === '') return this.#dispatch()
    const colon = line.indexOf(':')
    const field = colon < 0 ? line : line.slice(0, colon)
    const value = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '')
    if (field === 'id') this.#id = value
    if (field === 'event') this.#event = value
    if (field === 'data') this.#data.push(value)
    return []
  }

  #dispatch(): Message[] {
    const message = { id: this.#id, event: this.#event || 'message', data: this.#data.join('\n') }
    const isEmpty = this.#data.length === 0
    this.#event = ''
    this.#data = []
    return isEmpty ? [] : [message]
  }
}
