// The screen that `up` ends with: where everything is, what to paste into a client, and one command to try.

/** One backend as the user sees it; `message` says what is wrong or being waited for. */
export interface WelcomeBackend {
  readonly name: string;
  /** The URL for MCP clients. */
  readonly url: string;
  readonly state: string;
  readonly message?: string;
}

/** `url` and `admin` are base URLs without a slash at the end; `resources` is the folder to add backends to. */
export interface WelcomeInfo {
  readonly url: string;
  readonly admin: string;
  readonly backends: readonly WelcomeBackend[];
  readonly resources?: string;
}

/** Plain text with a newline at its end. */
export function welcome({ url, admin, backends, resources }: WelcomeInfo): string {
  const rows = [
    ...backends.map(({ name, url: at, state, message }) => [name, at, message === undefined ? state : `${state}: ${message}`]),
    ['(health)', `${url}/readyz`, ''],
    ['(metrics)', `${admin}/metrics`, ''],
  ];
  const parts = [`\nThe gateway is ready at ${url}\n`, table(rows)];
  const [first] = backends.filter(({ state }) => state === 'ready').concat(backends);
  if (first === undefined) parts.push(noBackends(resources));
  else parts.push(clientConfiguration(backends), tryIt(first));
  parts.push('Ctrl-C stops the gateway and all that it started.');
  return `${parts.join('\n')}\n`;
}

function table(rows: readonly (readonly string[])[]): string {
  const width = (column: number) => Math.max(...rows.map((row) => row[column]?.length ?? 0));
  const [names, urls] = [width(0), width(1)];
  return rows
    .map(([name = '', url = '', note = '']) => `  ${name.padEnd(names)}  ${url.padEnd(urls)}  ${note}`.trimEnd().concat('\n'))
    .join('');
}

/** `type` is what Claude Code and VS Code ask for; the others ignore it. */
function clientConfiguration(backends: readonly WelcomeBackend[]): string {
  const mcpServers = Object.fromEntries(backends.map(({ name, url }) => [name, { type: 'http', url }]));
  return `For your MCP client (Claude, Cursor, and others that read "mcpServers"):\n\n${JSON.stringify({ mcpServers }, undefined, 2)}\n`;
}

function tryIt({ url }: WelcomeBackend): string {
  return `Try it from another terminal (the Inspector needs Node 22):\n\n  npx @modelcontextprotocol/inspector --cli ${url} --transport http --method tools/list\n`;
}

function noBackends(resources: string | undefined): string {
  return `There is no backend yet: put a YAML file with an MCPBackend into ${resources ?? 'the resources folder'}; it is taken up at once.\n`;
}
