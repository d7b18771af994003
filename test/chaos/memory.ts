import { readFileSync } from 'node:fs'
import type { Cluster } from './cluster.ts'

/** The most memory each kind of service had, in MB. */
export function watchMemory(cluster: Cluster): { stop(): Record<string, number> } {
  const most: Record<string, number> = {}
  const timer = setInterval(() => {
    for (const name of cluster.services) {
      try {
        const kb = Number(
          /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${cluster.pid(name)}/status`, 'utf8'))?.[1] ??
            0,
        )
        const kind = name.replace(/-\d+$/, '')
        most[kind] = Math.max(most[kind] ?? 0, Math.round(kb / 1024))
      } catch {
        // between two lives
      }
    }
  }, 2_000)
  return {
    stop() {
      clearInterval(timer)
      return most
    },
  }
}
