/**
 * The accounts that this process sends with: opened, and what it knows of each, namely until when
 * the provider wants no create, and whether recovery was seen to work there.
 */
import { Accounts } from '#libs/provider/accounts.ts'

/** What is proven, as noted, and as it was noted under former keys. */
export interface Proof {
  id: string
  formerIds: readonly string[]
}

interface ProofStore {
  isProven(ids: string[], provider: string): Promise<boolean>
  prove(id: string, provider: string): Promise<void>
}

export class SendingAccounts extends Accounts {
  /** By id: no create before this monotonic instant, as the provider asked. */
  readonly #throttledUntil = new Map<string, number>()
  readonly #proven = new Set<string>()
  readonly #beingProven = new Set<string>()

  /** How long the provider still wants no create of this account, in milliseconds. */
  throttledMs(id: string, now: number): number {
    const until = this.#throttledUntil.get(id)
    if (until !== undefined && until <= now) this.#throttledUntil.delete(id)
    return Math.max(0, (until ?? now) - now)
  }

  throttle(id: string, until: number): void {
    this.#throttledUntil.set(id, Math.max(until, this.#throttledUntil.get(id) ?? 0))
  }

  /**
   * Whether a task of this account was seen to be found by our own id; asks the store until it was.
   * What was noted under a former id is noted under the present one.
   */
  async isProven(store: ProofStore, proof: Proof, provider: string): Promise<boolean> {
    const { id, formerIds } = proof
    if (this.#proven.has(id)) return true
    if (!(await store.isProven([id, ...formerIds], provider))) return false
    // rule: a proof outlives the key its account was named by
    if (formerIds.length) await store.prove(id, provider)
    this.#proven.add(id)
    return true
  }

  /** Whether that is known here. */
  isKnownProven(id: string): boolean {
    return this.#proven.has(id)
  }

  /** False where somebody here is at it, or it is proven. */
  beginProof(id: string): boolean {
    if (this.#proven.has(id) || this.#beingProven.has(id)) return false
    this.#beingProven.add(id)
    return true
  }

  endProof(id: string): void {
    this.#beingProven.delete(id)
  }

  async prove(store: Pick<ProofStore, 'prove'>, id: string, provider: string): Promise<void> {
    if (this.#proven.has(id)) return
    await store.prove(id, provider)
    this.#proven.add(id)
  }
}
