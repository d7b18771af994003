-- What is told of the file of a video, as JSON. Null while it is not kept.
ALTER TABLE "SceneVideo" ADD COLUMN "file" JSONB;

-- One row per completed video: the archiver's queue, and where its file is.
CREATE TABLE "File" (
    "videoId" UUID NOT NULL,
    "userId" UUID NOT NULL,
    "state" TEXT NOT NULL DEFAULT 'waiting',
    "url" TEXT NOT NULL,
    "expiresAt" TIMESTAMPTZ(3),
    "claim" INTEGER NOT NULL DEFAULT 0,
    "claimedUntil" TIMESTAMPTZ(3),
    "nextTryAt" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "tries" INTEGER NOT NULL DEFAULT 0,
    "lastError" TEXT,
    "key" TEXT,
    "bytes" BIGINT,
    "createdAt" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "storedAt" TIMESTAMPTZ(3),
    "keep" BOOLEAN NOT NULL DEFAULT false,
    CONSTRAINT "File_pkey" PRIMARY KEY ("videoId"),
    CONSTRAINT "File_videoId_fkey" FOREIGN KEY ("videoId") REFERENCES "SceneVideo"("id") ON DELETE RESTRICT ON UPDATE CASCADE
);

-- The queue, in the order in which links die.
CREATE INDEX "File_queue_idx" ON "File"("expiresAt", "videoId") WHERE "state" = 'waiting';
-- Retention: the oldest first.
CREATE INDEX "File_storedAt_idx" ON "File"("storedAt");
-- Completed videos whose file is not kept: short, and read every second.
CREATE INDEX "SceneVideo_unkept_idx" ON "SceneVideo"("id") WHERE "status" = 'completed' AND "phase" = 'done';
