-- Archived: out of the lists, and takes nothing new. Erased: what it said is gone, the row stays for what was paid.
ALTER TABLE "Project" ADD COLUMN "archivedAt" TIMESTAMPTZ(3), ADD COLUMN "erasedAt" TIMESTAMPTZ(3), ADD COLUMN "ownOf" UUID;
ALTER TABLE "Script" ADD COLUMN "archivedAt" TIMESTAMPTZ(3), ADD COLUMN "erasedAt" TIMESTAMPTZ(3);
ALTER TABLE "Scene" ADD COLUMN "archivedAt" TIMESTAMPTZ(3), ADD COLUMN "erasedAt" TIMESTAMPTZ(3);
ALTER TABLE "SceneVideo" ADD COLUMN "erasedAt" TIMESTAMPTZ(3);
CREATE UNIQUE INDEX "Project_ownOf_key" ON "Project"("ownOf");
-- Pages in the order of ids.
DROP INDEX "Project_userId_idx";
CREATE INDEX "Project_userId_id_idx" ON "Project"("userId", "id" DESC);
DROP INDEX "Script_projectId_idx";
CREATE INDEX "Script_projectId_id_idx" ON "Script"("projectId", "id" DESC);
DROP INDEX "Scene_scriptId_idx";
CREATE INDEX "Scene_scriptId_id_idx" ON "Scene"("scriptId", "id" DESC);
DROP INDEX "SceneVideo_sceneId_idx";
CREATE INDEX "SceneVideo_sceneId_id_idx" ON "SceneVideo"("sceneId", "id" DESC);
-- Keys that could configure a provider account by `write` still can.
UPDATE "ApiKey" SET "scopes" = array_append("scopes", 'configure') WHERE 'write' = ANY("scopes") AND NOT 'configure' = ANY("scopes");
