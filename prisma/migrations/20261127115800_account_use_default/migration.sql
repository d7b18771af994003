-- As schema.prisma writes it.
ALTER TABLE "ProviderAccount" ALTER COLUMN "usedAt" SET DEFAULT CURRENT_TIMESTAMP;
