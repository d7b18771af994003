/**
 * What an account is opened with: one key, or several parts by a schema. They are kept and
 * encrypted as one text: the key itself, or the parts as JSON.
 */
export interface CredentialPart {
  /** In camel case; in settings `<NAME>_<PART>` in capitals. */
  name: string
  meaning: string
  /** Not blanked where a provider repeats it: an id, a project, a region. */
  isPublic?: true
  isOptional?: true
}

export const oneKey: readonly CredentialPart[] = [{ name: 'apiKey', meaning: 'the key' }]

/** `secretId` → `SECRET_ID`. */
export const settingOf = (part: string): string =>
  part.replaceAll(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()

/** As one text; null where a part is missing or is none of the schema's. */
export function joinCredentials(
  parts: readonly CredentialPart[],
  given: Readonly<Record<string, string>>,
): string | null {
  const known = new Set(parts.map((part) => part.name))
  const names = Object.keys(given)
  if (names.length === 0 || names.some((name) => !known.has(name))) return null
  if (parts.some(({ name, isOptional }) => !isOptional && !given[name])) return null
  return parts.length === 1 ? given[parts[0]!.name]! : JSON.stringify(given)
}

/** By their names. A text that is no JSON is the first part: a key alone is always taken. */
export function splitCredentials(
  parts: readonly CredentialPart[],
  text: string,
): Record<string, string> {
  const [first] = parts
  if (!first) return {}
  if (parts.length > 1 && text.startsWith('{')) {
    try {
      return JSON.parse(text) as Record<string, string>
    } catch {
      // a key that begins so
    }
  }
  return { [first.name]: text }
}

export const secretsOf = (
  parts: readonly CredentialPart[],
  values: Readonly<Record<string, string>>,
): string[] => parts.filter((part) => !part.isPublic).flatMap(({ name }) => values[name] ?? [])
