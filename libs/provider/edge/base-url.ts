/** Where a provider is, in the one form in which addresses are kept and compared. */

/**
 * Without a trailing slash; null where it is no http(s) address, or has credentials, a query or a
 * fragment.
 */
export function normalizeBaseUrl(text: string): string | null {
  const url = URL.parse(text.trim())
  if (!url || !['http:', 'https:'].includes(url.protocol)) return null
  if (url.username || url.password || url.search || url.hash) return null
  return url.href.replace(/\/+$/, '')
}
