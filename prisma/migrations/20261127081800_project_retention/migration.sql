-- How long, and how much, a project keeps of its files. Null is as the installation does.
ALTER TABLE "Project" ADD COLUMN "fileDays" INTEGER, ADD COLUMN "fileBytes" BIGINT;
-- Projects with a limit of their own: few, and looked at every few minutes.
CREATE INDEX "Project_file_limits_idx" ON "Project"("id") WHERE "fileDays" IS NOT NULL OR "fileBytes" IS NOT NULL;
