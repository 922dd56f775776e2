// The schema of `upstreamAuth`: a header with a secret that every request to a `url:` backend carries.

import { z } from 'zod';
import { isLoopbackHost } from '../core/address-ranges.ts';
import { secretKeyRef, variableName } from './secret-ref.ts';

export const HEADER_NAME = /^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,128}$/;
/** A visible character first: white space at the beginning of a header's value is nobody's. */
const PREFIX = /^[\x21-\x7e][\x20-\x7e]*$/;
const PREFIX_ERROR = 'must be 1 to 64 visible ASCII characters or spaces, the first one visible';

/**
 * Headers of the connection (RFC 9110, section 7.6.1), of the message, of MCP, and those by which the gateway and Envoy talk to each
 * other. Overwriting one of them would break requests, or let a resource file speak for the gateway.
 */
export const REFUSED_HEADERS: ReadonlySet<string> = new Set([
  ...['connection', 'keep-alive', 'proxy-connection', 'proxy-authenticate', 'te', 'trailer', 'transfer-encoding', 'upgrade'],
  ...['host', 'expect', 'date', 'via', 'forwarded', 'origin', 'accept', 'last-event-id', 'x-request-id'],
]);
export const REFUSED_HEADER_PREFIXES = ['content-', 'accept-', 'access-control-', 'mcp-', 'x-mcp-', 'x-envoy-', 'x-forwarded-'];

const header = z
  .string()
  .max(128)
  .superRefine((name, context) => {
    const refuse = (message: string): void => context.addIssue({ code: 'custom', message });
    if (!HEADER_NAME.test(name)) {
      refuse('must be the name of an HTTP header');
      return;
    }
    // Servers that map both to one name would take `x_mcp_subject` for the gateway's word.
    const plain = name.toLowerCase().replaceAll('_', '-');
    if (REFUSED_HEADERS.has(plain) || REFUSED_HEADER_PREFIXES.some((prefix) => plain.startsWith(prefix))) {
      refuse(`${name} belongs to the connection, to MCP or to the gateway; use Authorization or a header of the server's own`);
    }
  });

const valueFrom = z
  .strictObject({
    secretKeyRef: secretKeyRef.optional(),
    env: variableName.optional().describe('A variable of the gateway itself.'),
  })
  .refine(({ secretKeyRef: file, env }) => (file === undefined) !== (env === undefined), {
    error: 'exactly one of secretKeyRef: { name, key } and env: NAME (a variable of the gateway) is needed',
  });

/** Where the value comes from; a prefix such as `Bearer ` goes in front of it. */
export const upstreamAuthSchema = z.strictObject({
  header: header.describe('The name of the header, such as Authorization.'),
  prefix: z
    .string()
    .max(64, PREFIX_ERROR)
    .regex(PREFIX, PREFIX_ERROR)
    .optional()
    .describe('What stands in front of the secret, such as "Bearer ".'),
  valueFrom: valueFrom.describe('Where the secret is.'),
});

export type UpstreamAuth = z.output<typeof upstreamAuthSchema>;

/** Why this URL may not be given a secret; undefined when it may. What is no URL is not judged here. */
export function clearTextProblem(url: unknown): string | undefined {
  if (typeof url !== 'string' || !URL.canParse(url)) {
    return undefined;
  }
  const { protocol, hostname } = new URL(url);
  return protocol === 'http:' && !isLoopbackHost(hostname)
    ? 'needs a url that begins with https://: the secret would be readable on its way (http:// is for this machine only)'
    : undefined;
}
