/**
 * Whether a request comes from this app's own page: not from another page in the same browser, and
 * not by another name for this address. `APP_HOSTNAMES`: the names it is served under, by commas.
 */
export function isOwnPage({ headers }: Request): boolean {
  const host = headers.get('host') ?? ''
  const origin = headers.get('origin')
  const names = (process.env['APP_HOSTNAMES'] ?? 'localhost,127.0.0.1').split(',')
  const hostname = URL.parse(`http://${host}`)?.hostname ?? ''
  return names.includes(hostname) && (origin === null || URL.parse(origin)?.host === host)
}

export const notOwnPage = () => new Response('Only for this app’s own page.', { status: 403 })
