CREATE TABLE "BulkAction" (
  "id" UUID NOT NULL,
  "userId" UUID NOT NULL,
  "action" TEXT NOT NULL,
  "status" TEXT NOT NULL DEFAULT 'running',
  "by" JSONB,
  "cost" JSONB NOT NULL,
  "createdAt" TIMESTAMPTZ(3) NOT NULL DEFAULT now(),
  "endedAt" TIMESTAMPTZ(3),
  CONSTRAINT "BulkAction_pkey" PRIMARY KEY ("id")
);
CREATE INDEX "BulkAction_userId_id_idx" ON "BulkAction"("userId", "id" DESC);
CREATE INDEX "BulkAction_running_idx" ON "BulkAction"("id") WHERE "status" = 'running';

CREATE TABLE "BulkItem" (
  "bulkId" UUID NOT NULL,
  "videoId" UUID NOT NULL,
  "attempt" INTEGER NOT NULL,
  "state" TEXT NOT NULL DEFAULT 'todo',
  "code" TEXT,
  "detail" TEXT,
  "takenAt" TIMESTAMPTZ(3),
  "doneAt" TIMESTAMPTZ(3),
  CONSTRAINT "BulkItem_pkey" PRIMARY KEY ("bulkId", "videoId"),
  CONSTRAINT "BulkItem_bulkId_fkey" FOREIGN KEY ("bulkId") REFERENCES "BulkAction"("id") ON DELETE CASCADE
);
CREATE INDEX "BulkItem_todo_idx" ON "BulkItem"("bulkId", "videoId") WHERE "state" = 'todo';

-- What each user has used of its limits in a window, summed over all gateways. Of no worth after a crash.
CREATE UNLOGGED TABLE "UserUsage" (
  "userId" UUID NOT NULL,
  "window" TIMESTAMPTZ(0) NOT NULL,
  "kind" TEXT NOT NULL,
  "used" BIGINT NOT NULL,
  CONSTRAINT "UserUsage_pkey" PRIMARY KEY ("userId", "kind", "window")
);
CREATE INDEX "UserUsage_window_idx" ON "UserUsage"("window");
-- The operator's exceptions from the limits that the settings give.
ALTER TABLE "User" ADD COLUMN "limits" JSONB;

-- The subs of an issuer that stand for users there were before.
CREATE TABLE "UserLink" (
  "issuer" TEXT NOT NULL,
  "sub" TEXT NOT NULL,
  "userId" UUID NOT NULL,
  CONSTRAINT "UserLink_pkey" PRIMARY KEY ("issuer", "sub")
);

-- What keys did, for operators.
CREATE INDEX "Timeline_acts_idx" ON "Timeline"("id" DESC) WHERE "by" IS NOT NULL;
