// The settings for an Envoy that is not ours: all of them, or none.

import { optional } from './setting.ts';
import { listenAddress, path } from './settings-parsers.ts';

export const edgeSettings = {
  edgePolicyListen: optional({
    env: 'MCP_GATEWAY_EDGE_POLICY_LISTEN',
    doc: 'Where an Envoy that is not ours asks the sidecar by gRPC, with mutual TLS, such as `0.0.0.0:8084` (docs/beside.md). Needs all settings that begin with `edge`, and one worker. On Kubernetes the pod then has no Envoy of its own.',
    parse: listenAddress,
  }),
  edgeRecoveryListen: optional({
    env: 'MCP_GATEWAY_EDGE_RECOVERY_LISTEN',
    doc: 'Where that Envoy sends requests whose instance has failed, with mutual TLS, such as `0.0.0.0:8085`.',
    parse: listenAddress,
  }),
  edgeCertFile: optional({
    env: 'MCP_GATEWAY_EDGE_CERT_FILE',
    doc: 'The certificate chain that both of these show, in PEM. It, its key and the CA are read again when they change.',
    parse: path,
  }),
  edgeKeyFile: optional({
    env: 'MCP_GATEWAY_EDGE_KEY_FILE',
    doc: 'The private key of `edgeCertFile`, in PEM.',
    parse: path,
  }),
  edgeCaFile: optional({
    env: 'MCP_GATEWAY_EDGE_CA_FILE',
    doc: 'The CA whose client certificates are accepted there, in PEM. It must sign for nobody but these Envoys.',
    parse: path,
  }),
  edgeSecretFile: optional({
    env: 'MCP_GATEWAY_EDGE_SECRET_FILE',
    doc: 'What that Envoy puts into `x-mcp-edge` after it has removed the internal headers of its clients: a text of at least 32 characters; several lines while it is being changed.',
    parse: path,
  }),
};
