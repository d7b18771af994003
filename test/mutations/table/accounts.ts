/** What an account at a provider takes, and whether anything is sent there. */
import type { Mutation } from '../mutation.ts'

export const accounts: Mutation[] = [
  {
    rule: 'an open circuit sends nothing but one create that is tried',
    find: 'if (!state?.isOpen) return free',
    replace: 'return free',
    by: 'submit by itself',
  },
  {
    rule: 'a video that fails for itself opens no circuit',
    find: '&& video !== outcome.video',
    replace: '',
    by: 'submit by itself',
  },
  {
    rule: 'a refusal is no failure of the account',
    find: 'isFailure ? answer.reason : null',
    replace: "isFailure || answer.kind === 'refused' ? 'refused' : null",
    by: 'submit by itself',
  },
  {
    rule: 'refusals that come together slow an account down once',
    find: 'now - this.#last.at < togetherMs',
    replace: 'now < this.#last.at',
    by: 'submit by itself',
  },
  {
    rule: 'users take turns at the limits of an account',
    find: 'if (places.size > 0) this.#users.set(place.userId, places)',
    replace: 'if (places.size > 0) this.#users = new Map([[place.userId, places], ...this.#users])',
    by: 'submit by itself',
  },
  {
    rule: 'who holds a place among the tasks at work goes, whoever came before',
    find: 'if (holders.has(place.id)) {',
    replace: 'if (holders.has(place.id) && holders.size === 0) {',
    by: 'submit by itself',
  },
  {
    rule: 'what was sent too late by us says nothing of the account',
    find: "answer.kind === 'later' && answer.isLate",
    replace: "answer.kind === 'accepted' && wasTried && isOverLimit",
    by: 'submit by itself',
  },
  {
    rule: 'what was surely not accepted is tried again as soon as the last time',
    find: 'mayBeAccepted ? 1 : 0',
    replace: '1',
    by: 'submit by itself',
  },
  {
    rule: 'how often one video was sent delays no other of its account',
    find: '?? (answer.isOverLimit ? overLimitMs : 0)',
    replace: '?? ms',
    by: 'submit by itself',
  },
]
