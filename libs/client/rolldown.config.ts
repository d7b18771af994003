/**
 * Two entries with what they share, eventsource-parser inside; React stays the app's own. Runs
 * after tsc, whose declarations still name `.ts` files: here they become `.js`, as every resolver
 * expects.
 */
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { defineConfig } from 'rolldown'

async function nameBuiltFiles() {
  for (const name of await readdir('dist'))
    if (name.endsWith('.d.ts')) {
      const text = await readFile(`dist/${name}`, 'utf8')
      await writeFile(`dist/${name}`, text.replaceAll(/(from '\.\/[\w-]+)\.ts'/g, "$1.js'"))
    }
}

export default defineConfig({
  input: { client: 'src/client.ts', react: 'src/react.ts' },
  external: ['react'],
  platform: 'neutral',
  resolve: { mainFields: ['module', 'main'], conditionNames: ['import', 'default'] },
  transform: { target: 'es2022' },
  checks: { moduleLevelDirective: false },
  plugins: [{ name: 'declarations', closeBundle: nameBuiltFiles }],
  output: {
    dir: 'dist',
    format: 'esm',
    chunkFileNames: 'shared.js',
  },
})
