-- What was sent at about the same time as a lost create: few pages, and next to nothing on a write.
CREATE INDEX "Submission_intentAt_idx" ON "Submission" USING brin ("intentAt");
