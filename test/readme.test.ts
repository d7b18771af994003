/**
 * README.md and its Chinese translation, kept in step. A finding names the section and the remedy.
 */
import { existsSync, readFileSync } from 'node:fs'
import { expect, it } from 'vitest'

const [english, chinese] = ['README.md', 'README.zh-CN.md'] as const
const remedy = `carry the change of ${english} over to ${chinese}`
const isMutual = (target: string) => target === english || target === chinese

interface Section {
  heading: string
  /** Fenced blocks, whole. */
  blocks: string[]
  /** Rows of tables, as cells. */
  rows: string[][]
  links: string[]
  /**
   * Inline code, and numbers beside it: what a translation repeats as it is. In any order:
   * sentences are built differently.
   */
  code: string[]
  numbers: string[]
}

function read(text: string): Section[] {
  const blocks: string[] = []
  const prose = text.replaceAll(
    /^```[\s\S]*?^```$/gm,
    (block) => `\n@block${blocks.push(block) - 1}@\n`,
  )
  return prose
    .split(/^(?=#{1,6} )/m)
    .filter((part) => part.trim())
    .map((part) => {
      const words = part.replaceAll(/@block\d+@/g, '').replaceAll(/\]\([^)]*\)/g, ']')
      return {
        heading: /^.*/.exec(part)![0],
        blocks: [...part.matchAll(/@block(\d+)@/g)].map((match) => blocks[Number(match[1])]!),
        rows: [...part.matchAll(/^\|(.*)\|$/gm)].map((match) =>
          match[1]!.split('|').map((cell) => cell.trim()),
        ),
        links: [...part.matchAll(/\]\(([^)]*)\)/g)]
          .map((match) => match[1]!)
          .filter((target) => !isMutual(target))
          .sort(),
        code: [...words.matchAll(/`[^`]+`/g)].map((match) => match[0]).sort(),
        numbers: [...words.replaceAll(/`[^`]+`/g, '').matchAll(/\d+(?:[.,]\d+)*/g)]
          .map((match) => match[0])
          .sort(),
      }
    })
}

const outline = (sections: Section[]) =>
  sections.map(({ heading }) => /^#*/.exec(heading)![0]).join(' ')
const shape = (section: Section) => section.rows.map((row) => row.length).join()
/** First columns where they are code, which no translation changes. */
const names = (section: Section) =>
  section.rows.map(([first = '']) => (first.startsWith('`') ? first : '')).join('\n')

/** What is in `some` more often than in `others`. */
function surplus(some: string[], others: string[]): string {
  const left = [...others]
  const more = some.filter((one) => {
    const at = left.indexOf(one)
    if (at >= 0) left.splice(at, 1)
    return at < 0
  })
  return more.join(' ') || 'none'
}

function compare(section: Section, other: Section): string[] {
  const repeated = (['links', 'code', 'numbers'] as const).flatMap((kind) => {
    const [lost, added] = [surplus(section[kind], other[kind]), surplus(other[kind], section[kind])]
    return lost === 'none' && added === 'none'
      ? []
      : [`${kind} only in ${english}: ${lost}; only in ${chinese}: ${added}; ${remedy}`]
  })
  return [
    ...(section.blocks.join('\n') === other.blocks.join('\n')
      ? []
      : [`the code blocks differ; copy them from ${english} to ${chinese} as they are`]),
    ...(shape(section) === shape(other)
      ? []
      : [
          `${section.rows.length} table rows and ${other.rows.length}, or other columns; ${remedy}`,
        ]),
    ...(names(section) === names(other)
      ? []
      : [`the first columns differ; order the rows of ${chinese} as in ${english}`]),
    ...repeated,
  ].map((finding) => `"${section.heading}": ${finding}`)
}

function findings(source: string, translation: string): string[] {
  const [sections, translated] = [read(source), read(translation)]
  if (outline(sections) === outline(translated))
    return sections.flatMap((section, i) => compare(section, translated[i]!))
  return [
    `the headings differ (${outline(sections)} and ${outline(translated)}): ${remedy}, section by section in the same order`,
  ]
}

const source = readFileSync(english, 'utf8')
const translation = readFileSync(chinese, 'utf8')

it('says the same in both languages', () => {
  expect(findings(source, translation)).toEqual([])
})

it('links to what is there', () => {
  const targets = [source, translation]
    .flatMap((text) => read(text).flatMap((section) => section.links))
    .filter((target) => !/^(https?:|#)/.test(target))
  expect(targets.length).toBeGreaterThan(20)
  expect(targets.filter((target) => !existsSync(target.replace(/#.*/, '')))).toEqual([])
})

it.each([
  ['headings differ', '## Settings\n', ''],
  ['code blocks differ', 'npm install && npm test', 'npm install && npm run test'],
  ['table rows', '| `LOG_LEVEL` | info | all |\n', ''],
  ['first columns', '| `NATS_URL`', '| `NATS_URLS`'],
  ['links', '(libs/outbox/outbox.ts)', '(libs/bus/other.ts)'],
  ['code', '`.reelkeeper/dev.json`', '`dev.json`'],
  ['numbers', '120000', '60000'],
])('finds that the %s', (finding, text, changed) => {
  expect(source).toContain(text)
  expect(findings(source.replace(text, changed), translation).join('\n')).toContain(finding)
})
