import { scene } from '../lib/config'
import { SceneCard } from './scene-card'

export const dynamic = 'force-dynamic'

export default function Page() {
  return (
    <main>
      <h1>A scene</h1>
      <SceneCard scene={scene()} />
    </main>
  )
}
