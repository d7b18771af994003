-- AlterTable
ALTER TABLE "ApiKey" ADD COLUMN "name" TEXT,
ADD COLUMN "scopes" TEXT[] DEFAULT ARRAY['read', 'write']::TEXT[];

-- AlterTable
ALTER TABLE "IdempotencyKey" RENAME COLUMN "videoId" TO "resultId";

-- A project's configuration goes with its project, it must not become its user's.
-- DropForeignKey
ALTER TABLE "AiConfig" DROP CONSTRAINT "AiConfig_projectId_fkey";

-- AddForeignKey
ALTER TABLE "AiConfig" ADD CONSTRAINT "AiConfig_projectId_fkey" FOREIGN KEY ("projectId") REFERENCES "Project"("id") ON DELETE CASCADE ON UPDATE CASCADE;
