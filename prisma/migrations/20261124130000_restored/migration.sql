-- When Postgres was restored from a copy older than what had happened: from then on nothing is sent for this video before it was looked up.
ALTER TABLE "SceneVideo" ADD COLUMN "restoredAt" TIMESTAMPTZ(3);
