/**
 * Holds answers against an OpenAPI document: the status must be described, and the body must be
 * what is described for it.
 */
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js'
import addFormats from 'ajv-formats'

export interface Document {
  openapi: string
  paths: Record<
    string,
    Record<
      string,
      {
        operationId?: string
        servers?: unknown
        parameters?: { in: string; name: string; schema: object }[]
        requestBody?: {
          required?: boolean
          content: Record<string, { schema: object; example?: unknown }>
        }
        responses: Record<string, { $ref?: string; content?: Record<string, object> }>
      }
    >
  >
  components: {
    schemas: Record<string, object>
    responses: Record<string, { content: Record<string, object> }>
  }
}

export class Contract {
  readonly document: Document
  readonly #ajv: Ajv2020
  readonly #validators = new Map<string, ValidateFunction>()
  /** `operationId status` of what has been seen. */
  readonly seen = new Set<string>()

  constructor(document: Document) {
    this.document = document
    this.#ajv = new Ajv2020({ strict: false, allErrors: true, validateFormats: true })
    ;(addFormats as unknown as (ajv: Ajv2020) => void)(this.#ajv)
    this.#ajv.addSchema(document, 'openapi')
  }

  static async of(gatewayUrl: string): Promise<Contract> {
    return new Contract((await (await fetch(`${gatewayUrl}/openapi.json`)).json()) as Document)
  }

  /** The described path that fits, most literal first. */
  pathOf(path: string): string | undefined {
    const parts = path.split('?')[0]!.split('/')
    const fits = Object.keys(this.document.paths).filter((one) => {
      const wanted = one.split('/')
      return (
        wanted.length === parts.length &&
        wanted.every((part, i) => (part.startsWith('{') ? parts[i] !== '' : part === parts[i]))
      )
    })
    return fits.toSorted((a, b) => a.split('{').length - b.split('{').length)[0]
  }

  check(method: string, path: string, status: number, headers: Headers, text: string): void {
    const say = (what: string) =>
      new Error(`${method} ${path} answered ${status} ${text.slice(0, 300)}: ${what}`)
    const type = headers.get('content-type')?.split(';')[0] ?? ''
    const template = this.pathOf(path)
    const operation =
      template === undefined ? undefined : this.document.paths[template]![method.toLowerCase()]
    if (!operation) {
      if (status !== 404) throw say('no such route is described')
      return this.#validate('#/components/schemas/Problem', text, say)
    }
    const response = operation.responses[status]
    if (!response) throw say('this status is not described')
    this.seen.add(`${operation.operationId} ${status}`)
    const at =
      response.$ref ?? `#/paths/${escape(template!)}/${method.toLowerCase()}/responses/${status}`
    const content = (
      response.$ref
        ? this.document.components.responses[response.$ref.split('/').at(-1)!]
        : response
    )?.content
    if (!content) {
      if (text !== '') throw say('no body is described')
      return
    }
    if (!content[type]) throw say(`${type} is not described, only ${Object.keys(content).join()}`)
    if (type.endsWith('json')) this.#validate(`${at}/content/${escape(type)}/schema`, text, say)
  }

  #validate(pointer: string, text: string, say: (what: string) => Error): void {
    let validate = this.#validators.get(pointer)
    if (!validate)
      this.#validators.set(pointer, (validate = this.#ajv.compile({ $ref: `openapi${pointer}` })))
    if (!validate(JSON.parse(text))) throw say(this.#ajv.errorsText(validate.errors))
  }
}

const escape = (part: string) =>
  encodeURIComponent(part.replaceAll('~', '~0').replaceAll('/', '~1'))
