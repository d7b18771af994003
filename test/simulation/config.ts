/** Chooses the operations of the conformance tests; by chance where not set. */
export const seedSetting = process.env['SEED']
