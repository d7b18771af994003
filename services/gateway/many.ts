/** The same for many, a few at once. */

/** Requests under way at once for one request of ours. */
const atOnce = 8

/**
 * Answers in the order of the items. The first failure ends it, once those in hand have ended;
 * `leave` is told of the items that were not begun.
 */
export async function eachInOrder<T, R>(
  items: T[],
  act: (item: T) => Promise<R>,
  leave: (rest: T[]) => void = () => {},
): Promise<R[]> {
  const answers: R[] = []
  for (let at = 0; at < items.length; at += atOnce) {
    const ended = await Promise.allSettled(items.slice(at, at + atOnce).map(act))
    const failure = ended.find((one) => one.status === 'rejected')
    if (failure) {
      leave(items.slice(at + atOnce))
      throw failure.reason
    }
    answers.push(...ended.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : [])))
  }
  return answers
}
