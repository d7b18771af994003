/** Where a provider says in words alone that its moderation refused. It names a reason, no more. */
export const namesPolicy = (text: string): boolean => /moderation|safety|policy/i.test(text)
