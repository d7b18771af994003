/** docs/operating/settings.md says what the services validate. */
import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { settingsPage, settingsPath } from './support/settings-table.ts'

it('lists every setting as it is: npm run docs:settings', async () => {
  const page = await settingsPage()
  expect(page.split('\n').length).toBeGreaterThan(30)
  expect(readFileSync(settingsPath, 'utf8')).toBe(page)
})
