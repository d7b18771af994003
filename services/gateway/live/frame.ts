/** One message to live readers; written out once per form, however many read it. */
import type { SceneVideo } from '#libs/scene-video/scene-video.ts'

export class Frame {
  readonly id: string
  readonly event: string
  readonly data: SceneVideo
  #json: string | undefined
  #sse: Buffer | undefined
  #ws: string | undefined

  constructor(id: string, event: string, data: SceneVideo) {
    this.id = id
    this.event = event
    this.data = data
  }

  get sse(): Buffer {
    return (this.#sse ??= Buffer.from(
      `id: ${this.id}\nevent: ${this.event}\ndata: ${this.#text()}\n\n`,
    ))
  }

  get ws(): string {
    return (this.#ws ??= `{"id":"${this.id}","event":"${this.event}","data":${this.#text()}}`)
  }

  #text(): string {
    return (this.#json ??= JSON.stringify(this.data))
  }
}
