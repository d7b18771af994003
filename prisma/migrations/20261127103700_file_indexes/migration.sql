-- Completed videos whose file is neither kept nor given up: what was lost or removed leaves it.
DROP INDEX "SceneVideo_unkept_idx";
CREATE INDEX "SceneVideo_unkept_idx" ON "SceneVideo"("id") WHERE "status" = 'completed' AND "phase" = 'done' AND "file" IS NULL AND "videoUrl" IS NOT NULL;
-- Retention: the oldest first. What is gone is not read again.
DROP INDEX "File_storedAt_idx";
CREATE INDEX "File_storedAt_idx" ON "File"("storedAt") WHERE "state" = 'stored' AND NOT "keep";
-- Pages of what is promised, for `files verify`.
CREATE INDEX "File_key_idx" ON "File"("key") WHERE "state" = 'stored';
