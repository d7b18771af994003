/** How the OpenAPI document tells of files: no schema of zod describes bytes. */

const typesOf: Record<string, string[]> = {
  getFile: ['video/mp4', 'video/webm'],
  getPoster: ['image/jpeg'],
  getStrip: ['image/jpeg'],
}

export function describeBytes(operationId = '', responses: Record<string, unknown>): void {
  const types = typesOf[operationId]
  if (!types) return
  const bytes = { schema: { type: 'string', format: 'binary' } }
  const content = Object.fromEntries(types.map((type) => [type, bytes]))
  responses['200'] = { description: 'The whole file', content }
  responses['206'] = { description: 'The range that was asked for', content }
  responses['304'] = { description: 'The caller has it already' }
}
