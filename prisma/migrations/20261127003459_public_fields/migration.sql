-- Columns without a default: no table is rewritten.
ALTER TABLE "SceneVideo" ADD COLUMN "guarantee" TEXT, ADD COLUMN "usage" JSONB;
ALTER TABLE "Timeline" ADD COLUMN "by" JSONB;
