/** Bars, as an SVG that needs nothing else. */
import { text } from './numbers.ts'

export interface Bar {
  name: string
  dark: number
  light: number
}

export function bars(title: string, shown: Bar[]): string {
  const scale = 420 / Math.max(...shown.map((bar) => bar.dark + bar.light))
  const drawn = shown.map(({ name, dark, light }, i) => {
    const y = 44 + i * 30
    const [left, right] = [dark * scale, light * scale]
    return (
      `<text x="120" y="${y + 15}" text-anchor="end">${name}</text><rect x="130" y="${y}" width="${left.toFixed(1)}" height="20" fill="#2b6cb0"/>` +
      `<rect x="${(130 + left).toFixed(1)}" y="${y}" width="${right.toFixed(1)}" height="20" fill="#90cdf4"/><text x="${(136 + left + right).toFixed(1)}" y="${y + 15}">${text(dark + light)}</text>`
    )
  })
  return (
    `<svg xmlns="http://www.w3.org/2000/svg" width="640" height="${60 + shown.length * 30}" font-family="sans-serif" font-size="13"><rect width="100%" height="100%" fill="#fff"/>` +
    `<text x="10" y="22" font-weight="bold">${title}</text>${drawn.join('')}</svg>\n`
  )
}
