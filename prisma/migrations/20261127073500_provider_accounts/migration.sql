-- CreateTable
CREATE TABLE "ProviderAccount" (
    "accountId" TEXT NOT NULL,
    "provider" TEXT NOT NULL,
    "host" TEXT NOT NULL,
    "isOpen" BOOLEAN NOT NULL DEFAULT false,
    "held" TEXT,
    "reason" TEXT,
    "openings" INTEGER NOT NULL DEFAULT 0,
    "openedAt" TIMESTAMPTZ(3),
    "nextTryAt" TIMESTAMPTZ(3),
    "createsFullAt" TIMESTAMPTZ(6) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "acts" JSONB NOT NULL DEFAULT '[]',
    "createdAt" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "ProviderAccount_pkey" PRIMARY KEY ("accountId", "provider")
);

-- CreateTable
CREATE TABLE "ProviderTask" (
    "accountId" TEXT NOT NULL,
    "provider" TEXT NOT NULL,
    "videoId" UUID NOT NULL,
    "attempt" INTEGER NOT NULL,
    "takenAt" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "ProviderTask_pkey" PRIMARY KEY ("accountId", "provider", "videoId")
);
