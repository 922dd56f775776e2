// From the settings to Envoy's configuration: the same for a laptop and for a pod.

import { join } from 'node:path';
import type { Settings } from '../config/settings.ts';
import type { BootstrapOptions, ListenerTls } from '../envoy/bootstrap.ts';
import { loopbackHosts } from '../gateway/shape.ts';
import { readTraceSettings } from '../telemetry/trace-settings.ts';
import { socketsIn } from './home.ts';
import { servedHosts } from './sidecar-options.ts';

/** Sockets lie in `settings.home`. The control plane is the controller where there is one, else a socket there, too. */
export function envoyOptions(settings: Settings, env: NodeJS.ProcessEnv): BootstrapOptions {
  const run = join(settings.home, 'run');
  return {
    listen: settings.listen,
    hosts: loopbackHosts(servedHosts(settings)),
    trustedProxies: settings.trustedProxies,
    adminSocket: join(run, 'envoy.sock'),
    sidecars: Array.from({ length: settings.workers }, (_, index) => socketsIn(run, index)),
    control: settings.controllerUrl === undefined ? join(run, 'control.sock') : addressOf(settings.controllerUrl),
    tls: tlsOf(settings, run),
    caFile: env['SSL_CERT_FILE'],
    tracing: readTraceSettings(env).settings,
  };
}

function tlsOf({ tlsCertFile: certFile, tlsKeyFile: keyFile }: Settings, run: string): ListenerTls | undefined {
  return certFile === undefined || keyFile === undefined ? undefined : { certFile, keyFile, secretFile: join(run, 'tls.json') };
}

function addressOf(url: string): { host: string; port: number } {
  const { hostname, port, protocol } = new URL(url);
  return { host: hostname.replace(/^\[|\]$/g, ''), port: Number(port || (protocol === 'https:' ? 443 : 80)) };
}
