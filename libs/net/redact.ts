/**
 * The one way of a text from outside into a log, an event, an answer or a table: the secrets given
 * are blanked in every usual encoding, so is what looks like a key of anybody's, control characters
 * become blanks, and the length is bounded. Never throws.
 */
export const blank = '[key]'

/** Shorter secrets would blank ordinary words; no real key is that short. */
const shortestSecret = 4
const mostRemembered = 1_000
const patterns = new Map<string, Patterns>()

const escapeRegExp = (text: string) => text.replace(/[$()*+.?[\\\]^{|}/-]/g, '\\$&')

/** What base64 makes of a secret that begins `offset` bytes into what is encoded. */
function inBase64(secret: string, offset: number): string {
  const bytes = Buffer.concat([Buffer.alloc(offset), Buffer.from(secret)])
  const whole = bytes.toString('base64').replace(/=+$/, '')
  return whole.slice(Math.ceil((offset * 8) / 6), Math.floor((bytes.length * 8) / 6))
}

const names: Record<string, string> = { '&': 'amp', '<': 'lt', '>': 'gt', '"': 'quot', "'": 'apos' }

/** A run of backslashes, from its first: JSON within JSON within JSON doubles them. */
const backslashes = String.raw`(?<!\\)\\{1,64}`

/**
 * A character as it is, or in any escape of JSON (also within JSON), of a URL or of HTML. Nothing
 * here can match in two ways, nor from within a run: no text takes longer than its length.
 */
function escaped(char: string, isAfterRun: boolean): string {
  // what a run before it has not taken
  const run = isAfterRun ? `(?:${backslashes})?` : backslashes
  const code = char.codePointAt(0)!
  const hex = (n: number, digits: number) => n.toString(16).padStart(digits, '0')
  const units = char.split('').map((unit) => `u${hex(unit.charCodeAt(0), 4)}`)
  const forms = [
    escapeRegExp(char),
    run + units.join(backslashes),
    `&#(?:0{0,8}${code}|x0{0,8}${hex(code, 1)});`,
    code < 128 ? `%(?:25)?${hex(code, 2)}` : encodeURIComponent(char),
    ...(char in names ? [`&${names[char]};`] : []),
    ...(char === '\n' ? [`${run}n`] : []),
    ...(`/"'`.includes(char) ? [backslashes + escapeRegExp(char)] : []),
  ]
  return `(?:${forms.join('|')})`
}

/** Several backslashes, and a run of them is no part of what follows it. */
const escapedBackslashes = (count: number) =>
  String.raw`(?:(?<!\\)\\{${count},${count * 64}}|(?:${backslashes}u005c|%(?:25)?5c|&#(?:92|x5c);){${count}})`

/** A pattern for each character of a secret, escaped or not; backslashes are with what follows. */
const escapedEach = (secret: string): string[] =>
  Array.from(secret.toWellFormed().matchAll(/(\\*)([^\\]?)/gsu), ([, run = '', char = '']) => {
    const before = run === '' ? '' : escapedBackslashes(run.length)
    return char === '' ? before : before + escaped(char, run !== '')
  })

/** What a long secret is found by: a text that all but repeats it is not compared to its end. */
const headLength = 24

interface Patterns {
  /** As it is, and in the encodings that hide it whole. */
  plain: RegExp
  /** Its first characters with any of them escaped, and right after them the others. */
  head: RegExp
  rest: RegExp
}

function patternsOf(secret: string): Patterns {
  const known = patterns.get(secret)
  if (known) return known
  const base64 = [0, 1, 2].map((offset) => inBase64(secret, offset)).filter((one) => one.length > 7)
  const forms = [
    secret,
    Buffer.from(secret).toString('hex'),
    ...base64,
    ...base64.map((one) => one.replaceAll('+', '-').replaceAll('/', '_')),
  ]
  const each = escapedEach(secret)
  const made = {
    plain: new RegExp([...new Set(forms)].map(escapeRegExp).join('|'), 'gi'),
    head: new RegExp(each.slice(0, headLength).join(''), 'gi'),
    rest: new RegExp(each.slice(headLength).join(''), 'iy'),
  }
  if (patterns.size >= mostRemembered) patterns.clear()
  patterns.set(secret, made)
  return made
}

function blankEscaped(text: string, { head, rest }: Patterns): string {
  const parts: string[] = []
  let end = 0
  for (const { 0: found, index } of text.matchAll(head)) {
    if (index < end) continue
    parts.push(text.slice(end, index), blank)
    end = rest.lastIndex = index + found.length
    end += rest.exec(text)?.[0].length ?? 0
  }
  return end === 0 ? text : parts.join('') + text.slice(end)
}

/** The text without these secrets, otherwise as it is. */
export function blankSecrets(text: string, secrets: readonly string[]): string {
  let told = text
  const hasEscapes = /[\\%&]/.test(text)
  for (const secret of secrets) {
    if (secret.length < shortestSecret) continue
    const patterns = patternsOf(secret)
    // rule: no key is told
    told = told.replace(patterns.plain, blank)
    // rule: no escaped key is told
    if (hasEscapes) told = blankEscaped(told, patterns)
  }
  return told
}

/** Keys as they are usually written, whoever's they are. */
const keyLike = new RegExp(
  [
    String.raw`\b(?:Bearer|Basic|Key|Token)\s+[\w.~+/*-]{8,}=*`,
    String.raw`\b(?:sk|pk|rk|ak)[-_][\w*.-]{6,}`,
    String.raw`\b(?:r8_|hf_|xai-|AIza|AKIA|AKID|AKLT|ghp_)[\w*-]{8,}`,
    String.raw`\beyJ[\w-]{8,}\.[\w-]+(?:\.[\w-]*)?`,
  ].join('|'),
  'g',
)

/** A text of somebody else's, as it may be kept, told and logged: at most `max` characters. */
export function redact(text: string, secrets: readonly string[] = [], max = 1_900): string {
  const bounded = text.length > max * 4 ? text.slice(0, max * 4) : text
  return blankSecrets(bounded, secrets)
    .replace(keyLike, blank)
    .toWellFormed()
    .replaceAll(/\p{Cc}/gu, ' ')
    .slice(0, max)
    .toWellFormed()
}
