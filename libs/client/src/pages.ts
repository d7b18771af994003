/** Of what one video has, page by page until there is no `next`. */
export async function allPages<T>(
  read: (after?: string) => Promise<{ data: T[]; next?: string | null }>,
): Promise<T[]> {
  const all: T[] = []
  for (let after: string | undefined, more = true; more; more = after !== undefined) {
    const page = await read(after)
    all.push(...page.data)
    after = page.next ?? undefined
  }
  return all
}
