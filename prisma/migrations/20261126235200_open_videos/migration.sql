-- Open videos are read in pages by id, and looked through for what was promised: a cancel, a deadline.
DROP INDEX "SceneVideo_status_idx";

CREATE INDEX "SceneVideo_status_id_idx" ON "SceneVideo" ("status", "id");

CREATE INDEX "SceneVideo_status_cancelRequested_idx" ON "SceneVideo" ("status", "cancelRequested");

CREATE INDEX "SceneVideo_status_deadlineAt_idx" ON "SceneVideo" ("status", "deadlineAt");
