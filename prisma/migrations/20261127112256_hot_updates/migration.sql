-- Most updates of a video change no indexed column: room on its page, and no index that names a
-- column they change, let Postgres write the row alone and no entry in any index.
ALTER TABLE "SceneVideo" SET (fillfactor = 70);
ALTER TABLE "Submission" SET (fillfactor = 80);

-- By the file, which changes after the end, not by the phase, which changes on the way there.
DROP INDEX "SceneVideo_unkept_idx";
CREATE INDEX "SceneVideo_unkept_idx" ON "SceneVideo"("id") WHERE "status" = 'completed' AND "file" IS NULL AND "videoUrl" IS NOT NULL;

-- Few videos are cancelled, have a deadline or are due: the others need no entry.
DROP INDEX "SceneVideo_status_cancelRequested_idx";
CREATE INDEX "SceneVideo_status_cancelRequested_idx" ON "SceneVideo"("status") WHERE "cancelRequested";
DROP INDEX "SceneVideo_status_deadlineAt_idx";
CREATE INDEX "SceneVideo_status_deadlineAt_idx" ON "SceneVideo"("status", "deadlineAt") WHERE "deadlineAt" IS NOT NULL;
DROP INDEX "SceneVideo_dueAt_idx";
CREATE INDEX "SceneVideo_dueAt_idx" ON "SceneVideo"("dueAt") WHERE "dueAt" IS NOT NULL;
