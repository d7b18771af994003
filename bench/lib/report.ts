/** What a run found, as a table in Markdown and as a picture. */
import type { SameWorkRow } from '../parts/same-work.ts'

const text = (value: number, digits = 0) => (Number.isFinite(value) ? value.toLocaleString('en', { maximumFractionDigits: digits }) : '–')

export function sameWorkTable(rows: SameWorkRow[]): string {
  const head = ['videos', 'who', 'CPU µs/poll', 'of it servers', '× ours', 'polls made', 'late p50 / p99 ms', 'told after p50 ms', 'rows', 'transactions', 'RSS/video KB']
  const total = (row: SameWorkRow) => row.cpuUsPerPoll + row.serverUsPerPoll
  const lines = rows.map((row) => {
    const ours = rows.find((one) => one.contestant === 'reelkeeper' && one.videos === row.videos)
    return [text(row.videos), row.contestant, text(total(row)), text(row.serverUsPerPoll), ours ? text(total(row) / total(ours), 1) : '–', `${text(row.made * 100)} %`,
      `${text(row.latenessP50)} / ${text(row.latenessP99)}`, text(row.toldP50), text(row.rows), text(row.transactions), text(row.rssPerVideo / 1024, 1)]
  })
  return [head, head.map(() => '---'), ...lines].map((cells) => `| ${cells.join(' | ')} |`).join('\n')
}

/** Bars of CPU per poll, servers' part lighter, at the largest number of videos that all contestants were measured at. */
export function sameWorkPicture(rows: SameWorkRow[]): string {
  const names = new Set(rows.map((row) => row.contestant))
  const counts = [...new Set(rows.map((row) => row.videos))].filter((videos) => rows.filter((row) => row.videos === videos).length === names.size)
  const videos = Math.max(...counts)
  const shown = rows.filter((row) => row.videos === videos)
  const scale = 420 / Math.max(...shown.map((row) => row.cpuUsPerPoll + row.serverUsPerPoll))
  const bars = shown.map((row, i) => {
    const y = 44 + i * 30
    const own = row.cpuUsPerPoll * scale
    const servers = row.serverUsPerPoll * scale
    return `<text x="120" y="${y + 15}" text-anchor="end">${row.contestant}</text><rect x="130" y="${y}" width="${own.toFixed(1)}" height="20" fill="#2b6cb0"/>` +
      `<rect x="${(130 + own).toFixed(1)}" y="${y}" width="${servers.toFixed(1)}" height="20" fill="#90cdf4"/><text x="${(136 + own + servers).toFixed(1)}" y="${y + 15}">${text(row.cpuUsPerPoll + row.serverUsPerPoll)} µs</text>`
  })
  return `<svg xmlns="http://www.w3.org/2000/svg" width="640" height="${60 + shown.length * 30}" font-family="sans-serif" font-size="13"><rect width="100%" height="100%" fill="#fff"/>` +
    `<text x="10" y="22" font-weight="bold">CPU per poll, ${text(videos)} videos polled every 5 s (dark: processes, light: Postgres, NATS or Redis)</text>${bars.join('')}</svg>\n`
}
