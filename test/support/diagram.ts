/** The statechart as a Mermaid diagram, generated from the machine itself. */
import { videoMachine } from '#libs/scene-video/machine.ts'

interface Node {
  key: string
  id: string
  states: Record<string, Node>
  transitions: Map<string, { eventType: string; target: { id: string }[] | undefined }[]>
  initial?: { target: { id: string }[] }
}

const name = (id: string) => id.replace(/^video\./, '').replaceAll('.', '_')

function lines(node: Node, indent: string): string[] {
  const children = Object.values(node.states)
  if (children.length === 0) return []
  const first = node.initial?.target[0]
  return [
    ...(first ? [`${indent}[*] --> ${name(first.id)}`] : []),
    ...children.flatMap((child) => {
      const inner = lines(child, `${indent}  `)
      const label = `${indent}state "${child.key}" as ${name(child.id)}`
      return inner.length ? [`${label} {`, ...inner, `${indent}}`] : [label]
    }),
  ]
}

function edges(node: Node): string[] {
  const own = [...node.transitions.values()]
    .flat()
    .flatMap(({ eventType, target }) =>
      (target ?? []).map((to) => `  ${name(node.id)} --> ${name(to.id)}: ${eventType}`),
    )
  return [...own, ...Object.values(node.states).flatMap(edges)]
}

export function diagram(): string {
  const root = videoMachine.root as unknown as Node
  const unique = [...new Set(edges(root))]
  return [
    'stateDiagram-v2',
    ...lines(root, '  '),
    ...unique,
    '  completed_stored --> [*]',
    '  failed --> [*]',
  ].join('\n')
}
