/** The same for many, a few at once. */

/** Requests under way at once for one request of ours. */
const atOnce = 8

/** Answers in the order of the items. The first failure ends it, once those in hand have ended. */
export async function eachInOrder<T, R>(items: T[], act: (item: T) => Promise<R>): Promise<R[]> {
  const answers: R[] = []
  for (let at = 0; at < items.length; at += atOnce)
    answers.push(...(await Promise.all(items.slice(at, at + atOnce).map(act))))
  return answers
}
