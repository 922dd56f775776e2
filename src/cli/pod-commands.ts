// The commands that run in the pods of backends, `run` and `drain-agent`: they load little, and each pod has them.

import type { CliContext } from './program.ts';

const USAGE = 2;
const FAILURE = 1;

/** Runs one of them to its end and gives the exit code: a server's own, else 0, 1 for failures, 2 for what was typed or configured wrongly. */
export async function runCli({ argv, env, stdout, stderr }: CliContext): Promise<number> {
  const [name, ...rest] = argv;
  try {
    if (name === 'run') {
      const { run } = await import('../runtime/pod/run.ts');
      return await run(rest, { env, cwd: process.cwd(), stdout, stderr });
    }
    const { runDrainAgent } = await import('../runtime/pod/drain-agent.ts');
    return await runDrainAgent(rest, { env, stdout, stderr });
  } catch (error) {
    const { UsageError } = await import('../runtime/pod/usage-error.ts');
    stderr.write(`mcp-gateway: ${error instanceof Error ? error.message : String(error)}\n`);
    return error instanceof UsageError ? USAGE : FAILURE;
  }
}
