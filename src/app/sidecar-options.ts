// From the settings to what each process of the gateway is told.

import type { Settings } from '../config/settings.ts';
import { formatAddress, isLoopback } from '../config/settings-parsers.ts';
import type { SidecarOptions } from './sidecar.ts';

/**
 * V8's flags for a sidecar: each decision leaves some 30 KB of garbage behind, and a young generation of 16 MB (the default) is swept so
 * often that what requests under way hold is copied again and again. Costs up to 96 MB in each sidecar.
 */
export const SIDECAR_NODE_FLAGS: readonly string[] = ['--max-semi-space-size=64'];

/** `sidecar`: its name and sockets; `link`: the supervisor's socket. */
export function sidecarOptions(sidecar: { name: string; grpc: string; http: string }, link: string, settings: Settings): SidecarOptions {
  const { allowedOrigins: origins = settings.issuers.length > 0 ? [] : ['loopback'] } = settings;
  return {
    ...sidecar,
    link,
    hosts: servedHosts(settings),
    origins: origins.filter((origin) => origin !== 'loopback'),
    loopbackOrigins: origins.includes('loopback'),
    onRevocationOutage: settings.onRevocationOutage ?? (settings.issuers.length > 0 ? 'deny' : 'allow'),
    logLevel: settings.logLevel,
    issuers: settings.issuers,
    adminRoles: settings.adminRoles,
    publicUrl: { publicUrl: settings.publicUrl, trustForwardedHost: settings.trustedProxies > 0 },
    audit: auditTarget(settings),
    countUses: settings.controllerUrl !== undefined,
    edge: edgePorts(settings),
  };
}

/** All of its settings are there, or none. */
function edgePorts(settings: Settings): SidecarOptions['edge'] {
  const { edgePolicyListen: policy, edgeRecoveryListen: recovery, edgeCertFile, edgeKeyFile, edgeCaFile, edgeSecretFile } = settings;
  if (!policy || !recovery || !edgeCertFile || !edgeKeyFile || !edgeCaFile || !edgeSecretFile) return undefined;
  const tls = { certFile: edgeCertFile, keyFile: edgeKeyFile, caFile: edgeCaFile };
  return { policy, recovery, tls, secretFile: edgeSecretFile };
}

/** Where the audit log goes, as every process of the gateway needs it. */
export function auditTarget({ auditLog }: Settings): SidecarOptions['audit'] {
  if (auditLog === undefined) return {};
  return auditLog === 'stdout' ? { stdout: true } : { file: auditLog };
}

/** What the gateway's own requests carry as Host: servers that check it accept what clients use. */
export function hostOfOwnCalls({ publicUrl, listen }: Settings): string {
  if (publicUrl !== undefined) return new URL(publicUrl).host;
  return isLoopback(listen) ? formatAddress(listen) : `localhost:${listen.port}`;
}

/** Names that clients may use besides the loopback ones. */
export function servedHosts({ allowedHosts, publicUrl }: Settings): string[] {
  return publicUrl === undefined ? [...allowedHosts] : [...allowedHosts, new URL(publicUrl).hostname];
}
