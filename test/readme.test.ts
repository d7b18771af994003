/**
 * Documents that exist in two languages keep the same facts: commands, links, names in tables,
 * settings and numbers. How a sentence is put is free; a finding names the document and the remedy.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { expect, it } from 'vitest'

const folders = ['.', 'docs', 'docs/guides', 'docs/operating']
const pairs = folders
  .flatMap((folder) => readdirSync(folder).map((name) => join(folder, name)))
  .filter((path) => path.endsWith('.zh-CN.md'))
  .map((chinese) => [chinese.replace('.zh-CN.md', '.md'), chinese] as const)

const blocksOf = (text: string) => text.match(/^```[\s\S]*?^```$/gm) ?? []
const linksOf = (text: string) =>
  [...text.matchAll(/\]\(([^)]*)\)/g)].map((match) => match[1]!.replace('.zh-CN.md', '.md'))
const all = (text: string, pattern: RegExp) =>
  [...new Set([...text.matchAll(pattern)].map((match) => match[0]))].sort()

/** Each kind of fact in one document, as texts that a translation repeats as they are. */
function factsOf(text: string): Record<string, string[]> {
  const prose = blocksOf(text).reduce((rest, block) => rest.replace(block, ''), text)
  const words = prose.replaceAll(/\]\([^)]*\)/g, ']')
  const rows = [...prose.matchAll(/^\|(.*)\|$/gm)].map((match) => match[1]!.split('|'))
  return {
    headings: all(prose, /^#+(?= )/gm).map(
      (level) =>
        `${prose.split('\n').filter((line) => line.startsWith(`${level} `)).length} ${level}`,
    ),
    'code blocks': blocksOf(text),
    links: [...new Set(linksOf(prose))].sort(),
    'rows of tables': rows.map((cells) =>
      cells[0]!.trim().startsWith('`')
        ? `${cells[0]!.trim()} (${cells.length})`
        : `(${cells.length})`,
    ),
    settings: all(words, /`[A-Z][A-Z_]{3,}\w*`/g),
    numbers: all(words.replaceAll(/`[^`]+`/g, ''), /\d+(?:[.,]\d+)*/g),
  }
}

function findings(english: string, chinese: string, name = 'README.md'): string[] {
  const [facts, translated] = [factsOf(english), factsOf(chinese)]
  return Object.entries(facts).flatMap(([kind, ours]) => {
    const theirs = translated[kind]!
    const only = ours.filter((one) => !theirs.includes(one))
    const added = theirs.filter((one) => !ours.includes(one))
    if (only.length + added.length === 0 && ours.length === theirs.length) return []
    return [
      `${name}: ${kind} differ; only in English: ${only.join(' ') || 'none'}; only in Chinese: ${added.join(' ') || 'none'}; carry the change over`,
    ]
  })
}

it('says the same in both languages', () => {
  expect(pairs.length).toBeGreaterThan(3)
  const wrong = pairs.flatMap(([english, chinese]) =>
    findings(readFileSync(english, 'utf8'), readFileSync(chinese, 'utf8'), english),
  )
  expect(wrong).toEqual([])
})

it('is short enough to be read', () => {
  for (const path of ['README.md', 'README.zh-CN.md'])
    expect(readFileSync(path, 'utf8').split('\n').length).toBeLessThanOrEqual(200)
})

it('links to what is there', () => {
  const documents = [...folders, 'docs/decisions', 'examples/nextjs'].flatMap((folder) =>
    readdirSync(folder)
      .filter((name) => name.endsWith('.md'))
      .map((name) => join(folder, name)),
  )
  const links = documents.flatMap((path) => {
    const text = readFileSync(path, 'utf8')
    const prose = blocksOf(text).reduce((rest, block) => rest.replace(block, ''), text)
    return [...prose.matchAll(/\]\(([^)]*)\)/g)].map((match) => [path, match[1]!] as const)
  })
  const local = links.filter(([, target]) => !/^(https?:|#)/.test(target))
  expect(local.length).toBeGreaterThan(50)
  expect(
    local.filter(([path, target]) => !existsSync(join(dirname(path), target.replace(/#.*/, '')))),
  ).toEqual([])
})

const source = readFileSync('README.md', 'utf8')
const translation = readFileSync('README.zh-CN.md', 'utf8')
it.each([
  ['headings', '## With a real account\n', ''],
  ['code blocks', 'npm install && npm test', 'npm install && npm run test'],
  ['rows of tables', '| `GET /api/ws` | the same over a WebSocket |\n', ''],
  ['rows of tables', '| `GET /api/ws`', '| `GET /api/sockets`'],
  ['links', '(docs/chaos.md)', '(docs/other.md)'],
  ['settings', '`TOAPIS_MODEL`', '`TOAPIS_MODELS`'],
  ['numbers', '15–45', '15–60'],
])('finds that the %s differ', (finding, text, changed) => {
  expect(source).toContain(text)
  const found = findings(source.replace(text, changed), translation).join('\n')
  expect(found).toContain(`${finding} differ`)
})

it('lets a sentence be put otherwise', () => {
  expect(
    findings(source.replace('and must survive every', 'and has to survive'), translation),
  ).toEqual([])
})
