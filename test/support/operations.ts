/** Every operation that a gateway describes, with paths and bodies to ask it by. */
import type { Document } from './openapi-contract.ts'

export interface Operation {
  template: string
  method: string
  operationId: string
  responses: Record<string, { headers?: object }>
  /** `apiKey` with the scope it needs; none for everybody. */
  security?: { apiKey?: string[]; token?: [] }[]
}

export const operationsOf = ({ contract }: { contract: { document: Document } }): Operation[] =>
  Object.entries(contract.document.paths).flatMap(([template, methods]) =>
    Object.entries(methods).map(
      ([method, operation]) =>
        ({ template, method: method.toUpperCase(), ...operation }) as unknown as Operation,
    ),
  )

export const nobodys = '0197a000-0000-7000-8000-00000000dead'

export interface Ids {
  projectId: string
  scriptId: string
  sceneId: string
  videoId: string
  keyId: string
  bulkId: string
}

export function fill(template: string, ids: Ids): string {
  const id = template.includes('api-keys')
    ? ids.keyId
    : template.includes('bulk-actions')
      ? ids.bulkId
      : ids.videoId
  const all: Record<string, string> = { ...ids, id }
  return template.replaceAll(/\{(\w+)\}/g, (_, name: string) => all[name] ?? 'toapis')
}

export const ofNobody: Ids = {
  projectId: nobodys,
  scriptId: nobodys,
  sceneId: nobodys,
  videoId: nobodys,
  keyId: 'nobodys',
  bulkId: nobodys,
}

/** Of operations that need one. */
export const bodies: Record<string, unknown> = {
  createProject: { title: 'x' },
  createScript: { title: 'x' },
  createScene: { prompt: 'x' },
  updateProject: { title: 'x' },
  updateScript: { title: 'x' },
  updateScene: { prompt: 'x' },
  createVideo: { prompt: 'x' },
  keepVideo: { keep: true },
  createBulkAction: { action: 'cancel', ids: [nobodys] },
  putProjectAiConfig: { provider: 'toapis' },
  putUserAiConfig: { provider: 'toapis', model: 'theirs' },
}
