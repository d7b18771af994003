/** What the pages at /docs send when one tries an operation: bodies that are taken as they are. */
const account = { provider: 'toapis', apiKey: 'sk-of-your-own' }
const prompt = 'A paper boat drifts down a rain-filled street at dusk'

export const bodyExamples: Record<string, unknown> = {
  cancelVideo: {},
  retryVideo: {},
  operatorCancel: {},
  operatorRetry: {},
  operatorCircuitOpen: { reason: 'Its maker is down' },
  operatorCircuitClose: {},
  operatorCircuitReset: {},
  createVideo: { prompt, metadata: { shot: 7 } },
  generateVideo: { prompt },
  generateScriptVideos: { only: 'missing', dryRun: true },
  retryFailed: { dryRun: true },
  createBulkAction: { action: 'retry', filter: { errorCode: ['timed_out'] }, dryRun: true },
  createProject: { title: 'Pilot' },
  updateProject: { title: 'Pilot, second cut' },
  createScript: { title: 'Act one' },
  updateScript: { title: 'Act one, shortened' },
  createScene: { title: 'Rain', prompt },
  updateScene: { prompt },
  createApiKey: { name: 'server', scopes: ['read', 'write'] },
  createStreamToken: { expiresInSeconds: 300 },
  putUserAiConfig: account,
  putProjectAiConfig: account,
  keepVideo: { keep: true },
  testUserAiConfig: {},
  testProjectAiConfig: {},
}

/** A stream, which no schema validates. */
export const uploadBody = {
  required: true,
  content: {
    'multipart/form-data': {
      schema: {
        type: 'object',
        required: ['file'],
        properties: {
          file: { type: 'string', contentMediaType: 'application/octet-stream' },
        },
      },
    },
    'image/*': {},
  },
}
