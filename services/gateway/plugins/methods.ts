/** Which methods a path has: 405 with `Allow` where it has others, 404 where it has none. */
import type { FastifyRequest } from 'fastify'
import type { App } from '../context.ts'
import { notFound, Problem, sendProblem } from '../problem.ts'

export function registerMethods(app: App): void {
  const known = new Map<string, { pattern: RegExp; methods: Set<string> }>()
  app.addHook('onRoute', ({ url, method }) => {
    const pattern = new RegExp(
      `^${url
        .replaceAll(/[.+?^${}()|[\]\\]/g, String.raw`\$&`)
        .replaceAll(/:\w+/g, '[^/]+')
        .replaceAll('*', '.*')}$`,
    )
    const entry = known.get(url) ?? { pattern, methods: new Set<string>() }
    for (const one of [method].flat()) if (one !== 'OPTIONS') entry.methods.add(one)
    known.set(url, entry)
  })
  const methodsOf = ({ url }: FastifyRequest) => {
    const path = url.split('?')[0]!
    const found = [...known.values()].filter(({ pattern }) => pattern.test(path))
    return [...new Set(found.flatMap(({ methods }) => [...methods]))].filter(
      (one) => one !== 'OPTIONS',
    )
  }
  app.setNotFoundHandler((request, reply) => {
    const allow = methodsOf(request)
    const problem =
      allow.length && !allow.includes(request.method)
        ? new Problem(405, 'method_not_allowed', `This takes ${allow.join(', ')}.`, { allow })
        : notFound('There is no such route; see /docs.')
    return sendProblem(problem, request, reply)
  })
}
