// `mcp-gateway sidecar`: what runs in the gateway's pods on Kubernetes.

import type { Command } from 'commander';
import type { CliContext } from './program.ts';
import { addSettingsOptions, settingsOf } from './settings-options.ts';
import { listenForStop } from './stop-signals.ts';

const sidecarExamples = `
It watches MCPBackends, MCPTenants, EndpointSlices and Pods with the pod's service account, or with KUBECONFIG.
Envoy runs beside it, with the configuration that \`mcp-gateway envoy config\` writes.

Examples:
  $ mcp-gateway envoy config --home /tmp/gateway --out /tmp/gateway.json && envoy -c /tmp/gateway.json &
  $ KUBECONFIG=~/.kube/config mcp-gateway sidecar --home /tmp/gateway
`;

/** Adds `sidecar`. */
export function addKubernetesCommands(program: Command, { env, stdout, stderr }: CliContext): void {
  addSettingsOptions(
    program
      .command('sidecar')
      .description('decide about the requests of the Envoy beside it, on Kubernetes')
      .addHelpText('after', sidecarExamples),
  ).action(async (typed: Record<string, unknown>) => {
    const { settings, warnings } = settingsOf(typed, env);
    for (const warning of warnings) stderr.write(`mcp-gateway: ${warning}\n`);
    const { runPod } = await import('../app/pod.ts');
    const { stop, release } = listenForStop();
    try {
      await runPod(settings, { signal: stop, env, output: stdout });
    } finally {
      release();
    }
  });
}
