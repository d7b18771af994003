-- When an account was last known to be used, so that those unused for long can go.
ALTER TABLE "ProviderAccount" ADD COLUMN "usedAt" TIMESTAMPTZ(3) NOT NULL DEFAULT now();
CREATE INDEX "ProviderAccount_usedAt_idx" ON "ProviderAccount" ("usedAt");
