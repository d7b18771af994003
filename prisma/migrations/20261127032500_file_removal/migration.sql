-- Files whose object is to be removed: few, and looked for every few seconds.
CREATE INDEX "File_removing_idx" ON "File"("videoId") WHERE "state" = 'removing';
