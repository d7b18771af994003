/**
 * Submits videos, and shows every video of the project live from one stream, whatever becomes of
 * the connection.
 */
import { Reelkeeper, type ScenePath, type SceneVideo } from '/client/client.js'

const reelkeeper = new Reelkeeper({ baseUrl: '' })
const scene: ScenePath = await (await fetch('scene.json')).json()
const list = document.querySelector('#videos')!
const form = document.querySelector('form')!
let isSubmitting = false

form.addEventListener('submit', async (event) => {
  event.preventDefault()
  const button = form.querySelector('button')!
  // The second click of a double click is no second video.
  button.disabled = true
  isSubmitting = true
  const prompt = String(new FormData(form).get('prompt'))
  await reelkeeper.generateVideo(scene, { prompt }).then(show, complain)
  isSubmitting = false
  setTimeout(() => (button.disabled = isSubmitting), 1_000)
})

for await (const video of reelkeeper.watch({ projectId: scene.projectId })) show(video)

function show(video: SceneVideo): void {
  const card = document.getElementById(video.id) ?? newCard(video)
  if (Number(card.dataset['version'] ?? 0) >= video.version) return
  Object.assign(card.dataset, {
    version: video.version,
    status: video.status,
    progress: video.progress ?? '',
  })
  card.className = video.status
  card.querySelector('small')!.textContent =
    video.error?.message ??
    `${video.status}, ${video.phase}${video.attempt > 1 ? `, attempt ${video.attempt}` : ''}`
  const bar = card.querySelector('progress')
  if (video.progress === null) bar?.removeAttribute('value')
  else if (bar) bar.value = video.progress
  if (video.videoUrl) bar?.replaceWith(player(video.videoUrl))
  else if (video.status === 'failed') bar?.remove()
}

function newCard(video: SceneVideo): HTMLElement {
  const card = document.createElement('li')
  card.id = video.id
  card.innerHTML = '<p></p><progress max="100"></progress><small></small>'
  card.querySelector('p')!.textContent = video.prompt
  list.prepend(card)
  return card
}

function player(url: string): HTMLVideoElement {
  return Object.assign(document.createElement('video'), {
    src: url,
    muted: true,
    loop: true,
    autoplay: true,
    controls: true,
    playsInline: true,
  })
}

function complain(error: Error): void {
  document.querySelector('#problem')!.textContent = error.message
}
