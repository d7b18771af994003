/** A picture inside a request, out of `data:<type>;base64,<data>`; null for an address. */
export function inline(url: string): { data: string; type: string } | null {
  const [, type, data] = /^data:([\w/+.-]+);base64,(.+)$/s.exec(url) ?? []
  return type === undefined || data === undefined ? null : { type, data }
}
