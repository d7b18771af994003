/**
 * Finds the piece of source that a rule's mark stands above, however it is laid out, and puts
 * another in its place.
 */

const markOf = (rule: string) => new RegExp(`^\\s*// rule: ${RegExp.escape(rule)}$`, 'm')

export const isMarked = (text: string, rule: string): boolean => markOf(rule).test(text)

/** @throws when the mark is missing, stands more than once, or `find` does not follow it */
export function mutate(
  text: string,
  { rule, find, replace }: { rule: string; find: string; replace: string },
): string {
  const marks = [...text.matchAll(new RegExp(markOf(rule).source, 'gm'))]
  if (marks.length !== 1) throw new Error(`the mark "rule: ${rule}" stands ${marks.length} times`)
  const from = marks[0]!.index + marks[0]![0].length
  const source = essence(text.slice(from))
  const at = source.characters.indexOf(essence(find).characters)
  if (at < 0) throw new Error(`below the mark "rule: ${rule}" there is no: ${find}`)
  const end = at + essence(find).characters.length - 1
  return (
    text.slice(0, from + source.positions[at]!) +
    replace +
    text.slice(from + source.positions[end]! + 1)
  )
}

/** What a formatter leaves as it is, and where each character of it stands. */
function essence(text: string): { characters: string; positions: number[] } {
  const positions = Array.from({ length: text.length }, (_, i) => i).filter(
    (i) => !/[\s,]/.test(text[i]!),
  )
  return { characters: positions.map((i) => text[i]).join(''), positions }
}
