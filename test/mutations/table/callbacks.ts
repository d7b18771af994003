/** What a callback may settle, and that it is not forgotten. */
import type { Mutation } from '../mutation.ts'

export const callbacks: Mutation[] = [
  {
    rule: 'only who was told an attempt’s path names its task',
    find: 'if (!callbacks.isOurs(provider, ownId(id, attempt), secret))',
    replace: 'if (secret === provider)',
    by: 'callbacks',
  },
  {
    rule: 'a webhook is proven by its signature, or by the secret in its path',
    find: 'if (!isSigned && ',
    replace: 'if (!provider && ',
    by: 'callbacks',
  },
  {
    rule: 'what is not signed hints at the video of its path alone',
    find: 'isSigned ? webhook.ownIdIn(body) : null',
    replace: 'webhook.ownIdIn(body)',
    by: 'callbacks',
  },
  {
    rule: 'a task of another send is not taken for the one a callback named',
    find: 'known.includes(taskId)',
    replace: 'known.includes(request.ownId)',
    by: 'submit by itself',
  },
  {
    rule: 'a task that a callback named is taken only when its account has it',
    find: 'if (isTask(answer)) return',
    replace: 'if (isTask(answer) || answer.kind) return',
    by: 'submit by itself',
  },
  {
    rule: 'what a callback named is asked for, however lost its send is',
    find: ' && !isCalled(submission)',
    replace: '',
    by: 'submit by itself',
  },
  {
    rule: 'a lost create whose provider calls back is waited for',
    find: 'told ? ',
    replace: 'told && provider === "" ? ',
    by: 'submit by itself',
  },
  {
    rule: 'a task of one video is not taken for another one’s',
    find: "record === 'known' ? Prisma.empty",
    replace: "record !== 'beside' ? Prisma.empty",
    by: 'task of one video',
  },
  {
    rule: 'absence of a model counts only where a task of that model was found',
    find: "findByOwnId ? '' : `/${model}`",
    replace: "findByOwnId ? '' : ''",
    by: 'submit by itself',
  },
]
