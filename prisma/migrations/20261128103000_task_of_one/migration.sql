-- Whose task an answer names is looked up before it is taken. By a hash: handles are up to 4 KiB.
CREATE INDEX "Submission_taskId_idx" ON "Submission"(hashtextextended("taskId", 0)) WHERE "taskId" IS NOT NULL;
