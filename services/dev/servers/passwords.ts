import { createHmac } from 'node:crypto'

/** The password of one user or role, from the one secret that is kept. */
export const passwordOf = (secret: string, name: string): string =>
  createHmac('sha256', secret).update(name).digest('base64url')

/** `url` with a user and the password that `secret` gives it. */
export function urlFor(url: string, user: string, secret: string): string {
  const [scheme = '', rest = ''] = url.split('://')
  return `${scheme}://${user}:${passwordOf(secret, user)}@${rest.replace(/^[^/]*@/, '')}`
}
