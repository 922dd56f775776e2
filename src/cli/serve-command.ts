// `mcp-gateway serve`: the gateway's own MCP server on stdio, for the gateway of this machine or one elsewhere.

import type { Command } from 'commander';
import { version } from '../config/version.ts';
import type { Perform } from '../control/calls.ts';
import type { CliContext } from './program.ts';
import { addHomeOptions, clientEnvironment, settingsOf } from './settings-options.ts';
import { listenForStop } from './stop-signals.ts';

/** So long a tool waits for somebody to log in before it says where. */
const LOGIN_PATIENCE_MS = 5_000;

const examples = `
Examples:
  $ mcp-gateway client-config claude-desktop --stdio
  $ MCP_GATEWAY_URL=https://mcp.example.com MCP_GATEWAY_TOKEN_FILE=token.txt mcp-gateway serve

Tools: list_backends, register_backend, tenant_quota, helm_values. Where no gateway runs in the home, this starts one and stops it at the end. With
MCP_GATEWAY_URL it drives that gateway, with MCP_GATEWAY_TOKEN, MCP_GATEWAY_TOKEN_FILE, or a login with a code (MCP_GATEWAY_CLIENT_ID).
Standard output carries the protocol only.
`;

/** Adds the command. It runs until its input ends or it is told to stop. */
export function addServeCommand(program: Command, { env, self, stderr }: CliContext): void {
  const command = program.command('serve').description('an MCP server on stdio that shows and changes what the gateway runs');
  addHomeOptions(command)
    .addHelpText('after', examples)
    .action(async (typed: Readonly<Record<string, unknown>>) => {
      const { settings, warnings } = settingsOf(typed, env);
      for (const warning of warnings) stderr.write(`mcp-gateway: ${warning}\n`);
      const [{ serveStdio }, { createAdminServer }, { createControlClient }, targets, { createOwnGateway }] = await Promise.all([
        import('@modelcontextprotocol/server/stdio'),
        import('../mcp/server.ts'),
        import('./control-client.ts'),
        import('./gateway-target.ts'),
        import('./own-gateway.ts'),
      ]);
      const { createDeviceLogin } = await import('./device-login.ts');
      const tell = (text: string): void => void stderr.write(`${text}\n`);
      const remote = targets.remoteTarget(
        clientEnvironment(typed, env),
        (base, clientId) => createDeviceLogin({ base, clientId, request: fetch, tell, patienceMs: LOGIN_PATIENCE_MS }).token,
      );
      const { config } = typed;
      const options = ['--home', settings.home, ...(typeof config === 'string' ? ['--config', config] : [])];
      const own = createOwnGateway({
        home: settings.home,
        command: [self.node, self.main, 'up', ...options],
        env,
        drainMs: settings.drainTimeoutMs,
        say: (text) => void stderr.write(text),
      });
      const perform: Perform = async (call) => {
        if (remote) return createControlClient(remote).perform(call);
        await own.running();
        return createControlClient(await targets.localTarget(settings.home)).perform(call);
      };
      // It takes a while, and is needed with the first call at the latest. Then it is said why not.
      if (!remote) own.running().catch(() => {});
      const { stop, release } = listenForStop();
      const server = serveStdio(() => createAdminServer(perform, version()), {
        onerror: (error) => tell(`mcp-gateway: ${error.message}`),
      });
      try {
        await inputEnds(stop);
      } finally {
        await server.close();
        await own.stop();
        release();
      }
    });
}

function inputEnds(stop: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const end = (): void => resolve();
    process.stdin.once('end', end).once('close', end).once('error', end);
    stop.addEventListener('abort', end, { once: true });
    if (stop.aborted) end();
  });
}
