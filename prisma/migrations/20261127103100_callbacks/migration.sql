-- The task that a callback named, at the path of its own attempt, before it was known otherwise.
ALTER TABLE "Submission" ADD COLUMN "calledTaskId" TEXT;
