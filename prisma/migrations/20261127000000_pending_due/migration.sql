-- When the current attempt was asked for, why and until when it waits, when somebody has to look at it again.
ALTER TABLE "SceneVideo" ADD COLUMN "requestedAt" TIMESTAMPTZ(3) NOT NULL DEFAULT now();
ALTER TABLE "SceneVideo" ADD COLUMN "waitReason" TEXT;
ALTER TABLE "SceneVideo" ADD COLUMN "waitUntil" TIMESTAMPTZ(3);
ALTER TABLE "SceneVideo" ADD COLUMN "dueAt" TIMESTAMPTZ(3);
UPDATE "SceneVideo" SET "dueAt" = now() WHERE status = 'pending' AND "taskId" IS NULL;
CREATE INDEX "SceneVideo_dueAt_idx" ON "SceneVideo"("dueAt");

-- Accounts at which a task was seen to be found by our own id.
CREATE TABLE "AccountProof" (
    "accountId" TEXT NOT NULL,
    "provider" TEXT NOT NULL,
    "provenAt" TIMESTAMPTZ(3) NOT NULL DEFAULT now(),
    CONSTRAINT "AccountProof_pkey" PRIMARY KEY ("accountId", "provider")
);
