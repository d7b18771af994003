-- Images that users sent to us, for providers to begin with. Deleted when unused for a day.
CREATE TABLE "Upload" (
    "id" UUID NOT NULL,
    "userId" UUID NOT NULL,
    "state" TEXT NOT NULL DEFAULT 'incoming',
    "type" TEXT,
    "bytes" BIGINT NOT NULL DEFAULT 0,
    "linkSecret" BYTEA NOT NULL,
    "createdAt" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "usedAt" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    CONSTRAINT "Upload_pkey" PRIMARY KEY ("id")
);
CREATE INDEX "Upload_userId_idx" ON "Upload"("userId");
-- The longest unused first.
CREATE INDEX "Upload_usedAt_idx" ON "Upload"("usedAt");
