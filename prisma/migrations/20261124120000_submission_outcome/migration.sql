-- AlterTable
ALTER TABLE "Submission" ADD COLUMN "outcome" TEXT,
ADD COLUMN "lookedAt" TIMESTAMPTZ(3);

-- CreateIndex
CREATE INDEX "Submission_settledAt_intentAt_idx" ON "Submission"("settledAt", "intentAt");
