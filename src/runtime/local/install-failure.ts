// What an installer's last words mean, in one line that says what to do.

/** Codes of Node's network errors, as npm prints them. */
const NPM_UNREACHABLE =
  /\b(ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENETUNREACH|EHOSTUNREACH|ERR_SOCKET_TIMEOUT|UNABLE_TO_\w+|CERT_\w+|SELF_SIGNED\w+)\b/;
const PIP_UNREACHABLE =
  /(Failed to establish a new connection|Temporary failure in name resolution|Name or service not known|Connection refused|Connection reset|timed out|CERTIFICATE_VERIFY_FAILED|Cannot connect to proxy)/;
/** So many of the versions that do exist are named. */
const NAMED_VERSIONS = 5;

/** One line about a failure that people can do something about; `undefined` when the output is none that is known. */
export function explainInstallFailure(kind: 'npm' | 'pypi', output: string): string | undefined {
  return kind === 'npm' ? explainNpm(output) : explainPip(output);
}

function explainNpm(output: string): string | undefined {
  const code = /npm error code (\S+)/.exec(output)?.[1] ?? '';
  if (code === 'E404') {
    const url = /404 Not Found - GET (\S+)/.exec(output)?.[1];
    return `there is no such package${url === undefined ? '' : ` (GET ${url} answered 404)`}: check its name`;
  }
  if (code === 'ETARGET') {
    const what = /No matching version found for (\S+?)\.?$/m.exec(output)?.[1];
    return `there is no such version${what === undefined ? '' : ` (${what})`}: check what stands behind the last "@"`;
  }
  if (NPM_UNREACHABLE.test(code)) {
    const [, url, reason] = /request to (\S+) failed, reason: (.+)$/m.exec(output) ?? [];
    const where = url === undefined ? code : `${url}: ${(reason ?? code).trim()}`;
    return `the registry cannot be reached (${where}): allow that connection, or name another registry with npm_config_registry`;
  }
  return undefined;
}

function explainPip(output: string): string | undefined {
  const unreachable = PIP_UNREACHABLE.exec(output)?.[1];
  if (unreachable !== undefined) {
    return `the package index cannot be reached (${unreachable}): allow that connection, or name another index with PIP_INDEX_URL`;
  }
  const [, what, versions] = /satisfies the requirement (.+?) \(from versions: ([^)]*)\)/.exec(output) ?? [];
  if (what === undefined || versions === undefined) {
    return undefined;
  }
  if (versions === 'none') {
    return `there is no such package for this Python (${what}), or the package index cannot be reached: check its name, and PIP_INDEX_URL`;
  }
  const latest = versions.split(', ').slice(-NAMED_VERSIONS);
  return `there is no such version (${what}): check what stands behind "=="; the latest are ${latest.join(', ')}`;
}
