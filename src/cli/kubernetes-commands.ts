// `mcp-gateway sidecar` and `mcp-gateway controller`: what runs in the gateway's pods on Kubernetes.

import type { Command } from 'commander';
import type { PodContext } from '../app/pod-context.ts';
import type { Settings } from '../config/settings.ts';
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

const controllerExamples = `
It turns MCPBackends into Deployments and Services, and serves the REST interface to Envoy. Several may run: one of them leads.

Examples:
  $ KUBECONFIG=~/.kube/config MCP_GATEWAY_RUNNER_IMAGE=mcp-gateway-runner:0.1 \\
      MCP_GATEWAY_CONTROLLER_URL=http://mcp-gateway-controller.mcp-gateway:8082 mcp-gateway controller
`;

type Run = (settings: Settings, context: PodContext) => Promise<void>;

/** Adds `sidecar` and `controller`. */
export function addKubernetesCommands(program: Command, { env, stdout, stderr }: CliContext): void {
  const add = (name: string, description: string, help: string, load: () => Promise<Run>): void => {
    const command = program.command(name).description(description).addHelpText('after', help);
    addSettingsOptions(command).action(async (typed: Record<string, unknown>) => {
      const { settings, warnings } = settingsOf(typed, env);
      for (const warning of warnings) stderr.write(`mcp-gateway: ${warning}\n`);
      const run = await load();
      const { stop, release } = listenForStop();
      try {
        await run(settings, { signal: stop, env, output: stdout });
      } finally {
        release();
      }
    });
  };
  add('sidecar', 'decide about the requests of the Envoy beside it, on Kubernetes', sidecarExamples, async () => {
    return (await import('../app/pod.ts')).runPod;
  });
  add('controller', 'run and look after the declared backends, on Kubernetes', controllerExamples, async () => {
    return (await import('../app/controller.ts')).runController;
  });
}
