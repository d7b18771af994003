/** Every operation there is, each a plugin of its own. */
import { abortBulkAction } from './abort-bulk-action.ts'
import { archivePart } from './archive-part.ts'
import { cancelVideo } from './cancel-video.ts'
import { countVideos } from './count-videos.ts'
import { createApiKey } from './create-api-key.ts'
import { createBulkAction } from './create-bulk-action.ts'
import { createProject } from './create-project.ts'
import { createScene } from './create-scene.ts'
import { createScript } from './create-script.ts'
import { createStreamToken } from './create-stream-token.ts'
import { createVideo } from './create-video.ts'
import { createUpload } from './create-upload.ts'
import { deleteAiConfig } from './delete-ai-config.ts'
import { deletePart } from './delete-part.ts'
import { deleteVideo } from './delete-video.ts'
import { events } from './events.ts'
import { generateScriptVideos } from './generate-script-videos.ts'
import { generateVideo } from './generate-video.ts'
import { getAiConfig } from './get-ai-config.ts'
import { getBulkAction } from './get-bulk-action.ts'
import { getBulkResults } from './get-bulk-results.ts'
import { getFile } from './get-file.ts'
import { getLimits } from './get-limits.ts'
import { getMe } from './get-me.ts'
import { getPart } from './get-part.ts'
import { getPreview } from './get-preview.ts'
import { getProject } from './get-project.ts'
import { getStats } from './get-stats.ts'
import { getSubmissions } from './get-submissions.ts'
import { getTimeline } from './get-timeline.ts'
import { getUpload } from './get-upload.ts'
import { getVideo } from './get-video.ts'
import { keepVideo } from './keep-video.ts'
import { listApiKeys } from './list-api-keys.ts'
import { listModels } from './list-models.ts'
import { listProjects } from './list-projects.ts'
import { listScenes } from './list-scenes.ts'
import { listScripts } from './list-scripts.ts'
import { listVideos } from './list-videos.ts'
import { livez } from './livez.ts'
import { openapi } from './openapi.ts'
import { operatorAccounts } from './operator-accounts.ts'
import { operatorActivity } from './operator-activity.ts'
import { operatorCircuits } from './operator-circuits.ts'
import { operatorDeadLetters } from './operator-dead-letters.ts'
import { operatorEvents } from './operator-events.ts'
import { operatorPollers } from './operator-pollers.ts'
import { operatorStats } from './operator-stats.ts'
import { operatorVideo } from './operator-video.ts'
import { operatorVideos } from './operator-videos.ts'
import { putAiConfig } from './put-ai-config.ts'
import { readyz } from './readyz.ts'
import { receiveWebhook } from './receive-webhook.ts'
import { retryFailed } from './retry-failed.ts'
import { retryVideo } from './retry-video.ts'
import { revokeApiKey } from './revoke-api-key.ts'
import { testAiConfig } from './test-ai-config.ts'
import { updatePart } from './update-part.ts'
import { videoEvents } from './video-events.ts'
import { webSocket } from './web-socket.ts'
import type { App, Context, Route } from '../context.ts'

const routes: Route[] = [
  abortBulkAction,
  archivePart,
  cancelVideo,
  countVideos,
  createApiKey,
  createBulkAction,
  createProject,
  createScene,
  createScript,
  createStreamToken,
  createUpload,
  createVideo,
  deleteAiConfig,
  deletePart,
  deleteVideo,
  events,
  generateScriptVideos,
  generateVideo,
  getAiConfig,
  getBulkAction,
  getBulkResults,
  getFile,
  getLimits,
  getMe,
  getPart,
  getPreview,
  getProject,
  getStats,
  getSubmissions,
  getTimeline,
  getUpload,
  getVideo,
  keepVideo,
  listApiKeys,
  listModels,
  listProjects,
  listScenes,
  listScripts,
  listVideos,
  livez,
  openapi,
  operatorAccounts,
  operatorActivity,
  operatorCircuits,
  operatorDeadLetters,
  operatorEvents,
  operatorPollers,
  operatorStats,
  operatorVideo,
  operatorVideos,
  putAiConfig,
  readyz,
  receiveWebhook,
  retryFailed,
  retryVideo,
  revokeApiKey,
  testAiConfig,
  updatePart,
  videoEvents,
  webSocket,
]

export async function registerRoutes(app: App, context: Context): Promise<void> {
  for (const route of routes) await app.register(async (scope) => route(scope, context))
}
