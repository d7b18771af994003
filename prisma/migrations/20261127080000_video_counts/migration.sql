-- Counts of videos that have ended, so that counting reads a few rows however many videos there are.
--
-- Each end, and each retry that takes one back, is written down in VideoCountChange by a trigger,
-- in the transaction that made it: with VideoCount it is exact at any moment. The reconciler adds
-- the changes up. Open videos are not counted here: they are few, and an index finds them.
CREATE TABLE "VideoCountChange" (
  "id" BIGSERIAL NOT NULL,
  "userId" UUID NOT NULL,
  "projectId" UUID NOT NULL,
  "createdAt" TIMESTAMPTZ(3) NOT NULL,
  "provider" TEXT NOT NULL,
  "model" TEXT NOT NULL,
  "status" "Status" NOT NULL,
  "errorCode" TEXT NOT NULL,
  "isErased" BOOLEAN NOT NULL,
  "change" INTEGER NOT NULL,
  CONSTRAINT "VideoCountChange_pkey" PRIMARY KEY ("id")
);
CREATE INDEX "VideoCountChange_userId_idx" ON "VideoCountChange"("userId");

-- scope: a user, a project, or nil for all. since: the beginning of a day (UTC), or -infinity for all
-- that a user or a project ever had. Of all there are hours, too, as scope nil + 1.
CREATE TABLE "VideoCount" (
  "scope" UUID NOT NULL,
  "since" TIMESTAMPTZ(0) NOT NULL,
  "provider" TEXT NOT NULL,
  "model" TEXT NOT NULL,
  "status" "Status" NOT NULL,
  "errorCode" TEXT NOT NULL,
  "isErased" BOOLEAN NOT NULL,
  "count" BIGINT NOT NULL,
  CONSTRAINT "VideoCount_pkey" PRIMARY KEY ("scope", "since", "provider", "model", "status", "errorCode", "isErased")
);

CREATE FUNCTION video_created(id UUID, at TIMESTAMPTZ) RETURNS TIMESTAMPTZ LANGUAGE sql IMMUTABLE AS
  'SELECT coalesce(uuid_extract_timestamp(id), at)';

-- \x3b is a semicolon: whatever applies migrations takes them apart there, also within quotes.
CREATE FUNCTION note_video_count() RETURNS TRIGGER LANGUAGE plpgsql AS E'
BEGIN
  INSERT INTO "VideoCountChange" ("userId", "projectId", "createdAt", provider, model, status, "errorCode", "isErased", change)
  SELECT (r)."userId", (r)."projectId", video_created((r).id, (r)."createdAt"), (r).provider, (r).model, (r).status, coalesce((r)."errorCode", \'\'), (r)."erasedAt" IS NOT NULL, change
  FROM (VALUES (OLD, -1), (NEW, 1)) AS row(r, change) WHERE (r).status IN (\'completed\', \'failed\')\x3b
  RETURN NULL\x3b
END';

CREATE TRIGGER "SceneVideo_count_insert" AFTER INSERT ON "SceneVideo" FOR EACH ROW
  WHEN (NEW.status IN ('completed', 'failed')) EXECUTE FUNCTION note_video_count();
CREATE TRIGGER "SceneVideo_count_delete" AFTER DELETE ON "SceneVideo" FOR EACH ROW
  WHEN (OLD.status IN ('completed', 'failed')) EXECUTE FUNCTION note_video_count();
CREATE TRIGGER "SceneVideo_count_update" AFTER UPDATE ON "SceneVideo" FOR EACH ROW
  WHEN ((OLD.status IN ('completed', 'failed') OR NEW.status IN ('completed', 'failed'))
    AND (OLD.status, OLD."errorCode", OLD."erasedAt" IS NULL, OLD.provider, OLD.model) IS DISTINCT FROM (NEW.status, NEW."errorCode", NEW."erasedAt" IS NULL, NEW.provider, NEW.model))
  EXECUTE FUNCTION note_video_count();
