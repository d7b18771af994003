-- Lists by status, and counts from the index alone: provider and model never change.
CREATE INDEX "SceneVideo_userId_status_id_idx" ON "SceneVideo"("userId", "status", "id" DESC) INCLUDE ("provider", "model");
CREATE INDEX "SceneVideo_userId_errorCode_id_idx" ON "SceneVideo"("userId", "errorCode", "id" DESC) WHERE "errorCode" IS NOT NULL;
-- What ended lately, for the snapshot of a stream.
CREATE INDEX "SceneVideo_userId_completedAt_idx" ON "SceneVideo"("userId", "completedAt") WHERE "completedAt" IS NOT NULL;
-- The caller’s own words about its videos, written once with the row.
CREATE INDEX "SceneVideo_metadata_idx" ON "SceneVideo" USING gin (("params" -> 'metadata') jsonb_path_ops) WHERE "params" ? 'metadata';
