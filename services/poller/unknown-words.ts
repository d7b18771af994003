/**
 * What a provider said that we do not know: logged once for a word and account, with the body it
 * came in, and given to the timeline once for a word and video. Bounded where a provider says
 * another one every time. Every such answer is counted by the host.
 */
import type { TaskAnswer } from '#libs/provider/provider.ts'
import type { Logger } from '#libs/runtime/logger.ts'
import type { Hosted } from './hosted.ts'

/** Words of one account that are logged, and of one video that its timeline shows. */
const [mostLogged, mostShown] = [20, 5]
const mostAccounts = 10_000

type Video = Pick<Hosted, 'id'> & { account: { id: string } }

export class UnknownWords<V extends Video> {
  readonly #log: Logger
  /** Puts the word onto the video's timeline. */
  readonly #show: (video: V, said: string) => void
  /** By account. */
  readonly #logged = new Map<string, Set<string>>()
  /** By video: forgotten with it. */
  readonly #shown = new WeakMap<V, Set<string>>()

  constructor(log: Logger, show: (video: V, said: string) => void) {
    this.#log = log
    this.#show = show
  }

  /** What is done without a result is logged only: the end tells of it. */
  tell(video: V, answer: TaskAnswer | undefined): void {
    if (answer?.kind !== 'unknown' && answer?.kind !== 'unusable') return
    const said = answer.kind === 'unknown' ? answer.said : answer.error.message
    if (isNew(this.#logged, video.account.id, said, mostLogged))
      this.#log.error(
        { video: video.id, said, body: answer.body },
        'The provider answered in words unknown to us; polling on',
      )
    if (this.#logged.size > mostAccounts) this.#logged.delete(this.#logged.keys().next().value!)
    if (answer.kind === 'unknown' && isNew(this.#shown, video, said, mostShown))
      this.#show(video, said)
  }
}

interface Sets<K> {
  get(key: K): Set<string> | undefined
  set(key: K, words: Set<string>): unknown
}

function isNew<K>(sets: Sets<K>, key: K, word: string, most: number): boolean {
  const words = sets.get(key) ?? new Set()
  if (words.has(word) || words.size >= most) return false
  sets.set(key, words.add(word))
  return true
}
