import { hostnames } from './config'

/**
 * Whether a request comes from this app's own page: not from another page in the same browser, and
 * not by another name for this address.
 */
export function isOwnPage({ headers }: Request): boolean {
  const host = headers.get('host') ?? ''
  const origin = headers.get('origin')
  const hostname = URL.parse(`http://${host}`)?.hostname ?? ''
  return hostnames().includes(hostname) && (origin === null || URL.parse(origin)?.host === host)
}

export const notOwnPage = () => new Response('Only for this app’s own page.', { status: 403 })
